// gRPC: Routes. Thin: input checks, pages, the simulator and the wait for the fleet over RouteStore. Thread-safe;
// what it refers to outlives it.
#pragma once

#include "controlplane/api/operator_services.h"
#include "signalbox/v1/route.grpc.pb.h"

namespace signalbox {

class RoutesService : public v1::Routes::Service {
 public:
  explicit RoutesService(const OperatorDeps& deps) : deps_(deps) {}
  grpc::Status CreateRoute(grpc::ServerContext* context, const v1::CreateRouteRequest* request,
                           v1::CreateRouteResponse* response) override;
  grpc::Status GetRoute(grpc::ServerContext* context, const v1::GetRouteRequest* request, v1::Route* response) override;
  grpc::Status ListRoutes(grpc::ServerContext* context, const v1::ListRoutesRequest* request,
                          v1::ListRoutesResponse* response) override;
  grpc::Status RenameRoute(grpc::ServerContext* context, const v1::RenameRouteRequest* request,
                           v1::Route* response) override;
  grpc::Status DeleteRoute(grpc::ServerContext* context, const v1::DeleteRouteRequest* request,
                           v1::DeleteRouteResponse* response) override;
  grpc::Status SaveVersion(grpc::ServerContext* context, const v1::SaveVersionRequest* request,
                           v1::SaveVersionResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context, const v1::GetVersionRequest* request,
                          v1::Version* response) override;
  grpc::Status ListVersions(grpc::ServerContext* context, const v1::ListVersionsRequest* request,
                            v1::ListVersionsResponse* response) override;
  grpc::Status DiffVersions(grpc::ServerContext* context, const v1::DiffVersionsRequest* request,
                            v1::DiffVersionsResponse* response) override;
  grpc::Status ValidateRoute(grpc::ServerContext* context, const v1::ValidateRouteRequest* request,
                             v1::ValidateRouteResponse* response) override;
  grpc::Status Simulate(grpc::ServerContext* context, const v1::SimulateRequest* request,
                        v1::SimulateResponse* response) override;
  grpc::Status Deploy(grpc::ServerContext* context, const v1::DeployRequest* request,
                      v1::DeployResponse* response) override;
  grpc::Status Rollback(grpc::ServerContext* context, const v1::RollbackRequest* request,
                        v1::DeployResponse* response) override;
  grpc::Status ListDeployments(grpc::ServerContext* context, const v1::ListDeploymentsRequest* request,
                               v1::ListDeploymentsResponse* response) override;

 private:
  v1::DeployResponse Publish(const Deployed& deployed, int wait_ms);

  const OperatorDeps& deps_;
};

}  // namespace signalbox
