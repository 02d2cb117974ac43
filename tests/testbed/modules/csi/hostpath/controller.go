package main

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const smallest = int64(1 << 20)

type controller struct {
	csi.UnimplementedControllerServer
	mutex sync.Mutex
	store store
}

func (*controller) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	reply := &csi.ControllerGetCapabilitiesResponse{}
	for _, kind := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
	} {
		reply.Capabilities = append(reply.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: kind}},
		})
	}
	return reply, nil
}

func (c *controller) CreateVolume(
	_ context.Context, request *csi.CreateVolumeRequest,
) (*csi.CreateVolumeResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	size := max(request.GetCapacityRange().GetRequiredBytes(), smallest)
	made, err := c.store.read("volumes", request.GetName())
	if status.Code(err) == codes.NotFound {
		made, err = c.create(request, size)
	}
	if err != nil {
		return nil, err
	}
	if made.Bytes < size {
		return nil, status.Errorf(codes.AlreadyExists, "%s exists with %d bytes", request.GetName(), made.Bytes)
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId: request.GetName(), CapacityBytes: made.Bytes, ContentSource: request.GetVolumeContentSource(),
	}}, nil
}

func (c *controller) create(request *csi.CreateVolumeRequest, size int64) (record, error) {
	kind, id := "", ""
	if snapshot := request.GetVolumeContentSource().GetSnapshot(); snapshot != nil {
		kind, id = "snapshots", snapshot.GetSnapshotId()
	}
	if volume := request.GetVolumeContentSource().GetVolume(); volume != nil {
		kind, id = "volumes", volume.GetVolumeId()
	}
	from := ""
	if kind != "" {
		if _, err := c.store.read(kind, id); err != nil {
			return record{}, err
		}
		folder, err := c.store.folder(kind, id)
		if err != nil {
			return record{}, err
		}
		from = filepath.Join(folder, "data")
	}
	made := record{Bytes: size, Source: id}
	if err := c.store.fill("volumes", request.GetName(), from); err != nil {
		return record{}, err
	}
	return made, c.store.write("volumes", request.GetName(), made)
}

func (c *controller) DeleteVolume(
	_ context.Context, request *csi.DeleteVolumeRequest,
) (*csi.DeleteVolumeResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return &csi.DeleteVolumeResponse{}, c.store.remove("volumes", request.GetVolumeId())
}

func (c *controller) ControllerExpandVolume(
	_ context.Context, request *csi.ControllerExpandVolumeRequest,
) (*csi.ControllerExpandVolumeResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	found, err := c.store.read("volumes", request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	found.Bytes = max(found.Bytes, request.GetCapacityRange().GetRequiredBytes())
	if err := c.store.write("volumes", request.GetVolumeId(), found); err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: found.Bytes}, nil
}

func (c *controller) CreateSnapshot(
	_ context.Context, request *csi.CreateSnapshotRequest,
) (*csi.CreateSnapshotResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	taken, err := c.store.read("snapshots", request.GetName())
	if status.Code(err) == codes.NotFound {
		taken, err = c.take(request)
	}
	if err != nil {
		return nil, err
	}
	if taken.Source != request.GetSourceVolumeId() {
		return nil, status.Errorf(codes.AlreadyExists, "%s is a snapshot of %s", request.GetName(), taken.Source)
	}
	return &csi.CreateSnapshotResponse{Snapshot: &csi.Snapshot{
		SnapshotId: request.GetName(), SourceVolumeId: taken.Source, SizeBytes: taken.Bytes,
		CreationTime: timestamppb.New(taken.Created), ReadyToUse: true,
	}}, nil
}

func (c *controller) take(request *csi.CreateSnapshotRequest) (record, error) {
	volume, err := c.store.read("volumes", request.GetSourceVolumeId())
	if err != nil {
		return record{}, err
	}
	folder, err := c.store.folder("volumes", request.GetSourceVolumeId())
	if err != nil {
		return record{}, err
	}
	if err := c.store.fill("snapshots", request.GetName(), filepath.Join(folder, "data")); err != nil {
		return record{}, err
	}
	taken := record{Bytes: volume.Bytes, Source: request.GetSourceVolumeId(), Created: time.Now()}
	return taken, c.store.write("snapshots", request.GetName(), taken)
}

func (c *controller) DeleteSnapshot(
	_ context.Context, request *csi.DeleteSnapshotRequest,
) (*csi.DeleteSnapshotResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return &csi.DeleteSnapshotResponse{}, c.store.remove("snapshots", request.GetSnapshotId())
}

func (c *controller) ValidateVolumeCapabilities(
	_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if _, err := c.store.read("volumes", request.GetVolumeId()); err != nil {
		return nil, err
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
			VolumeCapabilities: request.GetVolumeCapabilities(),
		},
	}, nil
}
