package main

import (
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// The parameters by position, of the types and of the plan methods that packages call with positions.
var types = map[string]string{
	"ServiceConfig":         "image ports public_ports files entrypoint cmd env_vars private_ip_address_placeholder",
	"PortSpec":              "number transport_protocol application_protocol wait url",
	"Directory":             "artifact_names persistent_key size",
	"StoreSpec":             "src name",
	"ReadyCondition":        "recipe field assertion target_value interval timeout",
	"ExecRecipe":            "command extract",
	"GetHttpRequestRecipe":  "port_id endpoint extract headers",
	"PostHttpRequestRecipe": "port_id endpoint body content_type extract headers",
	"ImageSpec":             "image registry username password",
	"ImageBuildSpec":        "image_name build_context_dir build_file target_stage build_args",
	"NixBuildSpec":          "flake_location_dir build_context_dir image_name flake_output",
	"User":                  "uid gid",
	"Toleration":            "key operator value effect toleration_seconds",
	"GpuConfig":             "count device_ids shm_size ulimits driver",
	"Service":               "name hostname ip_address ports",
}

var methods = map[string]string{
	"add_service": "name config force_update", "add_services": "configs force_update", "get_service": "name",
	"get_services": "", "set_service": "name config", "remove_service": "name", "start_service": "name",
	"stop_service": "name", "exec": "service_name recipe acceptable_codes skip_code_check",
	"request": "service_name recipe acceptable_codes skip_code_check",
	"wait":    "service_name recipe field assertion target_value interval timeout",
	"verify":  "value assertion target_value", "print": "msg", "render_templates": "config name",
	"upload_files": "src name", "store_service_files": "service_name src name depends_on",
	"get_files_artifact": "name", "run_sh": "name run", "run_python": "name run args", "get_cluster_type": "",
}

func construct(name string, fields []string) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(
		_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, keywords []starlark.Tuple,
	) (starlark.Value, error) {
		return starlarkstruct.FromStringDict(starlark.String(name), bind(fields, args, keywords)), nil
	})
}

func (h *host) plan() starlark.Value {
	members := starlark.StringDict{}
	for name, parameters := range methods {
		members[name] = h.method(name, strings.Fields(parameters))
	}
	return &starlarkstruct.Module{Name: "plan", Members: members}
}

func (h *host) method(name string, parameters []string) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(
		_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, keywords []starlark.Tuple,
	) (starlark.Value, error) {
		given := bind(parameters, args, keywords)
		if name != "add_services" { // each of its services is an instruction
			h.record(name, given)
		}
		return h.result(name, given)
	})
}

func (h *host) record(name string, given starlark.StringDict) {
	h.instructions = append(h.instructions, fmt.Sprint(name, given))
}

// reference is the text that stands for a value which only a run knows.
func (h *host) reference(field string) starlark.String {
	return starlark.String(fmt.Sprintf("{{reference:%032x:%s}}", len(h.instructions), field))
}

func (h *host) result(name string, given starlark.StringDict) (starlark.Value, error) {
	switch name {
	case "add_service":
		return h.service(given["name"], given["config"])
	case "add_services":
		services := starlark.NewDict(8)
		for _, pair := range given["configs"].(*starlark.Dict).Items() {
			h.record("add_service", starlark.StringDict{"name": pair[0], "config": pair[1]})
			service, err := h.service(pair[0], pair[1])
			if err != nil {
				return nil, err
			}
			services.SetKey(pair[0], service)
		}
		return services, nil
	case "get_service":
		service, _, err := h.services.Get(given["name"])
		return service, err
	case "get_services":
		return starlark.NewList(h.services.Keys()), nil
	case "exec", "request", "wait":
		return h.answer(given["recipe"])
	case "run_sh", "run_python":
		return h.task(given["store"]), nil
	case "render_templates", "upload_files", "store_service_files", "get_files_artifact":
		if artifact, named := given["name"]; named {
			return artifact, nil
		}
		return starlark.String(fmt.Sprintf("artifact-%d", len(h.instructions))), nil
	case "get_cluster_type":
		return starlark.String("docker"), nil
	}
	return starlark.None, nil
}

func (h *host) service(name, config starlark.Value) (starlark.Value, error) {
	ports, err := config.(*starlarkstruct.Struct).Attr("ports")
	if err != nil {
		ports = starlark.NewDict(0)
	}
	service := starlarkstruct.FromStringDict(starlark.String("Service"), starlark.StringDict{
		"name": name, "hostname": h.reference("hostname"), "ip_address": h.reference("ip_address"), "ports": ports,
	})
	return service, h.services.SetKey(name, service)
}

func (h *host) answer(recipe starlark.Value) (starlark.Value, error) {
	answer := starlark.NewDict(4)
	for _, field := range []string{"code", "output", "body"} {
		answer.SetKey(starlark.String(field), h.reference(field))
	}
	if extract, err := recipe.(*starlarkstruct.Struct).Attr("extract"); err == nil && extract != nil {
		for _, key := range extract.(*starlark.Dict).Keys() {
			field := "extract." + string(key.(starlark.String))
			answer.SetKey(starlark.String(field), h.reference(field))
		}
	}
	return answer, nil
}

func (h *host) task(store starlark.Value) starlark.Value {
	var artifacts []starlark.Value
	if list, ok := store.(*starlark.List); ok {
		for position := 0; position < list.Len(); position++ {
			name := starlark.Value(starlark.String(fmt.Sprintf("artifact-%d-%d", len(h.instructions), position)))
			if spec, ok := list.Index(position).(*starlarkstruct.Struct); ok {
				if given, err := spec.Attr("name"); err == nil && given != nil {
					name = given
				}
			}
			artifacts = append(artifacts, name)
		}
	}
	return starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
		"code": h.reference("code"), "output": h.reference("output"), "files_artifacts": starlark.NewList(artifacts),
	})
}
