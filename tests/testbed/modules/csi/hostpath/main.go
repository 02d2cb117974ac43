// Command hostpath is a CSI driver for one node that keeps volumes and snapshots as folders.
//
// It registers itself with the kubelet, so that no registrar is needed beside it. It writes capacities down and
// reports them, and does not enforce them. Written to the CSI specification 1.12.
package main

import (
	"flag"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driverName = "hostpath.csi.gitopsd.test"

func main() {
	endpoint := flag.String("endpoint", "", "socket to serve CSI on")
	registry := flag.String("registration", "", "socket in the kubelet's folder plugins_registry")
	root := flag.String("root", "", "folder for volumes and snapshots")
	node := flag.String("node", "", "name of the node")
	flag.Parse()
	for _, folder := range []string{"volumes", "snapshots"} {
		must(os.MkdirAll(filepath.Join(*root, folder), 0o755))
	}
	driver := grpc.NewServer()
	csi.RegisterIdentityServer(driver, identity{})
	csi.RegisterControllerServer(driver, &controller{store: store{root: *root}})
	csi.RegisterNodeServer(driver, &publisher{name: *node, store: store{root: *root}})
	kubelet := grpc.NewServer()
	registration.RegisterRegistrationServer(kubelet, registrar{endpoint: *endpoint})
	go serve(driver, *endpoint)
	serve(kubelet, *registry)
}

func serve(server *grpc.Server, socket string) {
	must(os.MkdirAll(filepath.Dir(socket), 0o755))
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	must(err)
	must(server.Serve(listener))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
