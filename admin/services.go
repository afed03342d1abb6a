package admin

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
)

// The services on the wire. Each method says who calls and hands over to the
// operation of its name.
type (
	keyService       struct{ s *Server }
	directoryService struct{ s *Server }
	policyService    struct{ s *Server }
	logService       struct{ s *Server }
)

var (
	_ adminv1connect.KeyServiceHandler       = keyService{}
	_ adminv1connect.DirectoryServiceHandler = directoryService{}
	_ adminv1connect.PolicyServiceHandler    = policyService{}
	_ adminv1connect.LogServiceHandler       = logService{}
)

func methodsOf(service string) protoreflect.MethodDescriptors {
	return adminv1.File_latchkey_admin_v1_admin_proto.Services().ByName(protoreflect.Name(service)).Methods()
}

func (h keyService) CreateKey(ctx context.Context, r *connect.Request[adminv1.CreateKeyRequest]) (*connect.Response[adminv1.CreateKeyResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.createKey)
}

func (h keyService) ImportKeys(ctx context.Context, r *connect.Request[adminv1.ImportKeysRequest]) (*connect.Response[adminv1.ImportKeysResponse], error) {
	return answer(h.s, ctx, "", r, h.s.importKeys)
}

func (h keyService) ListKeys(ctx context.Context, r *connect.Request[adminv1.ListKeysRequest]) (*connect.Response[adminv1.ListKeysResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.listKeys)
}

func (h keyService) GetKey(ctx context.Context, r *connect.Request[adminv1.GetKeyRequest]) (*connect.Response[adminv1.GetKeyResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.getKey)
}

func (h keyService) UpdateKey(ctx context.Context, r *connect.Request[adminv1.UpdateKeyRequest]) (*connect.Response[adminv1.UpdateKeyResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.updateKey)
}

func (h keyService) RotateKey(ctx context.Context, r *connect.Request[adminv1.RotateKeyRequest]) (*connect.Response[adminv1.RotateKeyResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.rotateKey)
}

func (h keyService) RevokeKey(ctx context.Context, r *connect.Request[adminv1.RevokeKeyRequest]) (*connect.Response[adminv1.RevokeKeyResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.revokeKey)
}

func (h keyService) DisableKey(ctx context.Context, r *connect.Request[adminv1.DisableKeyRequest]) (*connect.Response[adminv1.DisableKeyResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.disableKey)
}

func (h keyService) EnableKey(ctx context.Context, r *connect.Request[adminv1.EnableKeyRequest]) (*connect.Response[adminv1.EnableKeyResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.enableKey)
}

func (h keyService) ChangeKeys(ctx context.Context, r *connect.Request[adminv1.ChangeKeysRequest]) (*connect.Response[adminv1.ChangeKeysResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.changeKeys)
}

func (h keyService) ExportKeys(ctx context.Context, r *connect.Request[adminv1.ExportKeysRequest]) (*connect.Response[adminv1.ExportKeysResponse], error) {
	return answer(h.s, ctx, "", r, h.s.exportKeys)
}

func (h keyService) GetKeyUsage(ctx context.Context, r *connect.Request[adminv1.GetKeyUsageRequest]) (*connect.Response[adminv1.GetKeyUsageResponse], error) {
	return answer(h.s, ctx, r.Msg.GetAs(), r, h.s.getKeyUsage)
}

func (h directoryService) ApplyDirectory(ctx context.Context, r *connect.Request[adminv1.ApplyDirectoryRequest]) (*connect.Response[adminv1.ApplyDirectoryResponse], error) {
	return answer(h.s, ctx, "", r, h.s.applyDirectory)
}

func (h directoryService) GetDirectory(ctx context.Context, r *connect.Request[adminv1.GetDirectoryRequest]) (*connect.Response[adminv1.GetDirectoryResponse], error) {
	return answer(h.s, ctx, "", r, h.s.getDirectory)
}

func (h policyService) DiffPolicy(ctx context.Context, r *connect.Request[adminv1.DiffPolicyRequest]) (*connect.Response[adminv1.DiffPolicyResponse], error) {
	return answer(h.s, ctx, "", r, h.s.diffPolicy)
}

func (h policyService) ApplyPolicy(ctx context.Context, r *connect.Request[adminv1.ApplyPolicyRequest]) (*connect.Response[adminv1.ApplyPolicyResponse], error) {
	return answer(h.s, ctx, "", r, h.s.applyPolicy)
}

func (h policyService) RemovePolicy(ctx context.Context, r *connect.Request[adminv1.RemovePolicyRequest]) (*connect.Response[adminv1.RemovePolicyResponse], error) {
	return answer(h.s, ctx, "", r, h.s.removePolicy)
}

func (h policyService) ListPolicies(ctx context.Context, r *connect.Request[adminv1.ListPoliciesRequest]) (*connect.Response[adminv1.ListPoliciesResponse], error) {
	return answer(h.s, ctx, "", r, h.s.listPolicies)
}

func (h logService) ListEntries(ctx context.Context, r *connect.Request[adminv1.ListEntriesRequest]) (*connect.Response[adminv1.ListEntriesResponse], error) {
	return answer(h.s, ctx, "", r, h.s.listEntries)
}
