// Command native evaluates a package with go.starlark.net itself and prints how many instructions it recorded.
//
// It is the yardstick of bench_packages.py: as little as a host of the package language can do. Plan methods record
// their arguments as text, types are structs, future references are numbered texts, nothing is validated.
package main

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"go.starlark.net/lib/json"
	"go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

func main() {
	name := flag.String("name", "", "locator of the package")
	root := flag.String("root", "", "folder of the package")
	repositories := flag.String("repositories", "", "folder of other repositories, as OWNER/NAME")
	arguments := flag.String("args", "", "file of JSON arguments")
	flag.Parse()
	h := &host{name: *name, root: *root, repositories: *repositories, modules: map[string]*starlarkstruct.Module{}}
	if err := h.run(*arguments); err != nil {
		if failure, ok := err.(*starlark.EvalError); ok {
			fmt.Fprintln(os.Stderr, failure.Backtrace())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(len(h.instructions))
}

type host struct {
	name, root, repositories string
	modules                  map[string]*starlarkstruct.Module
	predeclared              starlark.StringDict
	instructions             []string
	services                 starlark.Dict
}

func (h *host) run(arguments string) error {
	h.predeclared = h.names()
	module, err := h.load(h.name + "/main.star")
	if err != nil {
		return err
	}
	args := starlark.Value(starlark.NewDict(0))
	if arguments != "" {
		text, err := os.ReadFile(arguments)
		if err != nil {
			return err
		}
		if args, err = call(json.Module.Members["decode"], starlark.String(text)); err != nil {
			return err
		}
	}
	_, err = call(module.Members["run"], h.plan(), args)
	return err
}

func call(function starlark.Value, args ...starlark.Value) (starlark.Value, error) {
	return starlark.Call(&starlark.Thread{}, function, args, nil)
}

// load executes the file of a locator once, and gives its globals.
func (h *host) load(locator string) (*starlarkstruct.Module, error) {
	if module, ok := h.modules[locator]; ok {
		return module, nil
	}
	text, err := os.ReadFile(h.file(locator))
	if err != nil {
		return nil, err
	}
	globals, err := starlark.ExecFile(&starlark.Thread{Name: locator}, locator, text, h.predeclared)
	if err != nil {
		return nil, err
	}
	globals.Freeze()
	module := &starlarkstruct.Module{Name: locator, Members: globals}
	h.modules[locator] = module
	return module, nil
}

// file is where a locator without a version lies on the disk.
func (h *host) file(locator string) string {
	if rest, inside := strings.CutPrefix(locator, h.name+"/"); inside {
		return filepath.Join(h.root, rest)
	}
	return filepath.Join(h.repositories, strings.TrimPrefix(locator, "github.com/"))
}

// absolute reads a locator as the calling file means it; versions are left out.
func (h *host) absolute(thread *starlark.Thread, locator string) string {
	locator, _, _ = strings.Cut(locator, "@")
	if strings.HasPrefix(locator, "github.com/") {
		return locator
	}
	calling := thread.CallFrame(1).Pos.Filename()
	if strings.HasPrefix(locator, "/") {
		return path.Join(path.Join(strings.SplitN(calling, "/", 4)[:3]...), locator)
	}
	return path.Join(path.Dir(calling), locator)
}

func (h *host) names() starlark.StringDict {
	names := starlark.StringDict{
		"struct":   starlark.NewBuiltin("struct", starlarkstruct.Make),
		"json":     json.Module,
		"time":     time.Module,
		"kurtosis": &starlarkstruct.Module{Name: "kurtosis"},
		"import_module": located("import_module", func(thread *starlark.Thread, locator string) (starlark.Value, error) {
			return h.load(h.absolute(thread, locator))
		}),
		"read_file": located("read_file", func(thread *starlark.Thread, locator string) (starlark.Value, error) {
			text, err := os.ReadFile(h.file(h.absolute(thread, locator)))
			return starlark.String(text), err
		}),
	}
	for name, fields := range types {
		names[name] = construct(name, strings.Fields(fields))
	}
	return names
}

// located is a builtin with one parameter, a locator.
func located(name string, act func(*starlark.Thread, string) (starlark.Value, error)) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(
		thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, keywords []starlark.Tuple,
	) (starlark.Value, error) {
		given := bind([]string{"locator"}, args, keywords)
		for _, value := range given {
			locator, _ := starlark.AsString(value)
			return act(thread, locator)
		}
		return nil, fmt.Errorf("%s: no locator", name)
	})
}

// bind names the arguments that are given by position.
func bind(parameters []string, args starlark.Tuple, keywords []starlark.Tuple) starlark.StringDict {
	given := starlark.StringDict{}
	for position, value := range args {
		given[parameters[position]] = value
	}
	for _, pair := range keywords {
		given[string(pair[0].(starlark.String))] = pair[1]
	}
	return given
}
