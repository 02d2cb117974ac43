package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// store lays volumes and snapshots out as ROOT/KIND/ID/{data,record.json}; data is complete when the record is there.
type store struct{ root string }

type record struct {
	Bytes   int64     // capacity, not enforced
	Source  string    // volume of a snapshot, or what a volume was made from
	Created time.Time // of a snapshot
}

func (s store) folder(kind, id string) (string, error) {
	if id == "" || id != filepath.Base(id) || strings.HasPrefix(id, ".") {
		return "", status.Errorf(codes.InvalidArgument, "%q is no id of this driver: expected one path element", id)
	}
	return filepath.Join(s.root, kind, id), nil
}

func (s store) read(kind, id string) (record, error) {
	var found record
	folder, err := s.folder(kind, id)
	if err != nil {
		return found, err
	}
	text, err := os.ReadFile(filepath.Join(folder, "record.json"))
	if os.IsNotExist(err) {
		return found, status.Errorf(codes.NotFound, "%s has no %s", kind, id)
	}
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(text, &found)
}

func (s store) write(kind, id string, value record) error {
	folder, err := s.folder(kind, id)
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "new.json"), text, 0o600); err != nil {
		return err
	}
	return os.Rename(filepath.Join(folder, "new.json"), filepath.Join(folder, "record.json"))
}

// fill makes the data folder of KIND/ID, empty or as a copy of another data folder.
func (s store) fill(kind, id, from string) error {
	folder, err := s.folder(kind, id)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	data := filepath.Join(folder, "data")
	if err := os.MkdirAll(data, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(data, 0o777); err != nil {
		return err
	}
	if from == "" {
		return nil
	}
	out, err := exec.Command("cp", "-a", "--reflink=auto", from+"/.", data).CombinedOutput()
	if err != nil {
		return status.Errorf(codes.Internal, "copy to %s: %v: %s", id, err, out)
	}
	return nil
}

func (s store) remove(kind, id string) error {
	folder, err := s.folder(kind, id)
	if err != nil {
		return err
	}
	return os.RemoveAll(folder)
}
