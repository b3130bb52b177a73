#include "controlplane/api/routes_service.h"

#include "absl/strings/str_cat.h"
#include "common/route/validator.h"
#include "common/status_macros.h"
#include "controlplane/api/answer.h"
#include "controlplane/api/input.h"
#include "controlplane/api/pages.h"
#include "controlplane/api/token_authority.h"
#include "controlplane/compiler/compiler.h"

namespace signalbox {
namespace {

// Creating and saving send the same things about a version.
template <typename Request>
absl::StatusOr<NewVersion> VersionOf(const Request& request, const Caller& caller) {
  RETURN_IF_ERROR(CheckRouteJsonSize(request.json()));
  RETURN_IF_ERROR(CheckPositions(request.positions_json()));
  RETURN_IF_ERROR(CheckComment(request.comment()));
  return NewVersion{request.json(), request.positions_json(), caller.name, request.comment(), request.allow_draft()};
}

// The graph to simulate, compiled: an unsaved one, or a version.
absl::StatusOr<v1::CompiledRoute> CompileForSimulation(RouteStore& routes, const v1::SimulateRequest& request) {
  RETURN_IF_ERROR(CheckVersionNumber("version", request.version()));
  RouteIdentity identity;
  identity.gateway = request.gateway();
  std::string json = request.json();
  std::string described = "the graph";
  absl::StatusCode refusal = absl::StatusCode::kInvalidArgument;
  if (!request.route().empty()) {
    ASSIGN_OR_RETURN(const v1::Route route, routes.Get(request.gateway(), request.route()));
    identity.route_id = route.id();
    identity.name = route.name();
    described = Describe(route);
    if (json.empty()) {
      const int64_t asked = request.version() != 0 ? request.version() : route.deployed_version();
      ASSIGN_OR_RETURN(const auto found, routes.GetVersion(request.gateway(), route.id(), asked));
      identity.version = found.second.number();
      json = found.second.json();
      described = Describe(route, identity.version);
      refusal = absl::StatusCode::kFailedPrecondition;
    }
  } else if (json.empty()) {
    return absl::InvalidArgumentError("route: is missing; name a route, or give a graph as json");
  }
  RETURN_IF_ERROR(CheckRouteJsonSize(json));
  ASSIGN_OR_RETURN(const CheckedRoute checked, routes.Check(request.gateway(), json));
  if (!checked.compiles) return FaultsStatus(refusal, described, checked.faults);
  if (identity.name.empty()) identity.name = checked.spec.name();
  if (identity.route_id.empty()) identity.route_id = "unsaved";
  return routes.Compile(identity, checked.spec);
}

}  // namespace

v1::DeployResponse RoutesService::Publish(const Deployed& deployed, int wait_ms) {
  deps_.publisher->OnCommitted();
  v1::DeployResponse answer;
  *answer.mutable_deployment() = deployed.deployment;
  answer.set_snapshot_sha256(deployed.snapshot.sha256());
  if (wait_ms > 0) {
    for (v1::ProxyResult& result : deps_.publisher->WaitForFleet(deployed.snapshot.sequence(), wait_ms)) {
      *answer.add_proxies() = std::move(result);
    }
  }
  return answer;
}

grpc::Status RoutesService::CreateRoute(grpc::ServerContext* context, const v1::CreateRouteRequest* request,
                                        v1::CreateRouteResponse* response) {
  return Answer(
      *context, deps_, *request, response, [&](const Caller& caller) -> absl::StatusOr<v1::CreateRouteResponse> {
        if (request->deploy()) RETURN_IF_ERROR(CheckRole(caller.role, Role::kDeployer));
        ASSIGN_OR_RETURN(const NewVersion version, VersionOf(*request, caller));
        // A draft needs a name, whatever else is wrong with it; without one, what kept it from being read is told.
        ASSIGN_OR_RETURN(const CheckedRoute checked, deps_.store->routes().Check(request->gateway(), request->json()));
        const std::string& name = checked.spec.name();
        if (!checked.compiles && (!request->allow_draft() || name.empty())) {
          return FaultsStatus(absl::StatusCode::kInvalidArgument, absl::StrCat("route \"", name, "\""), checked.faults);
        }
        RETURN_IF_ERROR(CheckName("name", name));
        ASSIGN_OR_RETURN(CreatedRoute created,
                         deps_.store->routes().Create(request->gateway(), version, request->deploy()));
        v1::CreateRouteResponse answer;
        *answer.mutable_route() = std::move(created.saved.route);
        *answer.mutable_version() = std::move(created.saved.version);
        if (created.deployed.has_value()) {
          *answer.mutable_deployment() = created.deployed->deployment;
          deps_.publisher->OnCommitted();
        }
        return answer;
      });
}

grpc::Status RoutesService::GetRoute(grpc::ServerContext* context, const v1::GetRouteRequest* request,
                                     v1::Route* response) {
  return Answer(*context, deps_, *request, response,
                [&](const Caller&) { return deps_.store->routes().Get(request->gateway(), request->route()); });
}

grpc::Status RoutesService::ListRoutes(grpc::ServerContext* context, const v1::ListRoutesRequest* request,
                                       v1::ListRoutesResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListRoutesResponse> {
    const std::string listing = absl::StrCat("routes/", request->gateway());
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const std::string after, DecodePageToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const Page<v1::Route> page, deps_.store->routes().List(request->gateway(), after, size));
    v1::ListRoutesResponse answer;
    answer.mutable_routes()->Assign(page.items.begin(), page.items.end());
    if (page.more) answer.set_next_page_token(EncodePageToken(listing, page.items.back().name()));
    return answer;
  });
}

grpc::Status RoutesService::RenameRoute(grpc::ServerContext* context, const v1::RenameRouteRequest* request,
                                        v1::Route* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller& caller) -> absl::StatusOr<v1::Route> {
    RETURN_IF_ERROR(CheckName("new_name", request->new_name()));
    // Clients call a route by its name: of one that serves, it is part of what is deployed.
    ASSIGN_OR_RETURN(const v1::Route before, deps_.store->routes().Get(request->gateway(), request->route()));
    if (before.deployed_version() != 0) RETURN_IF_ERROR(CheckRole(caller.role, Role::kDeployer));
    ASSIGN_OR_RETURN(v1::Route route, deps_.store->routes().Rename(request->gateway(), request->route(),
                                                                   request->new_name(), request->etag()));
    deps_.publisher->OnCommitted();
    return route;
  });
}

grpc::Status RoutesService::DeleteRoute(grpc::ServerContext* context, const v1::DeleteRouteRequest* request,
                                        v1::DeleteRouteResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::DeleteRouteResponse> {
    RETURN_IF_ERROR(
        deps_.store->routes().Delete(request->gateway(), request->route(), request->etag(), request->force()));
    deps_.publisher->OnCommitted();
    return v1::DeleteRouteResponse();
  });
}

grpc::Status RoutesService::SaveVersion(grpc::ServerContext* context, const v1::SaveVersionRequest* request,
                                        v1::SaveVersionResponse* response) {
  return Answer(
      *context, deps_, *request, response, [&](const Caller& caller) -> absl::StatusOr<v1::SaveVersionResponse> {
        ASSIGN_OR_RETURN(const NewVersion version, VersionOf(*request, caller));
        ASSIGN_OR_RETURN(SavedVersion saved,
                         deps_.store->routes().Save(request->gateway(), request->route(), request->etag(), version));
        v1::SaveVersionResponse answer;
        *answer.mutable_route() = std::move(saved.route);
        *answer.mutable_version() = std::move(saved.version);
        answer.set_unchanged(saved.unchanged);
        return answer;
      });
}

grpc::Status RoutesService::GetVersion(grpc::ServerContext* context, const v1::GetVersionRequest* request,
                                       v1::Version* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::Version> {
    RETURN_IF_ERROR(CheckVersionNumber("number", request->number()));
    ASSIGN_OR_RETURN(auto found,
                     deps_.store->routes().GetVersion(request->gateway(), request->route(), request->number()));
    return std::move(found.second);
  });
}

grpc::Status RoutesService::ListVersions(grpc::ServerContext* context, const v1::ListVersionsRequest* request,
                                         v1::ListVersionsResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListVersionsResponse> {
    const std::string listing = absl::StrCat("versions/", request->gateway(), "/", request->route());
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const int64_t before, DecodeNumberToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const Page<v1::Version> page,
                     deps_.store->routes().ListVersions(request->gateway(), request->route(), before, size));
    v1::ListVersionsResponse answer;
    answer.mutable_versions()->Assign(page.items.begin(), page.items.end());
    if (page.more) answer.set_next_page_token(EncodePageToken(listing, absl::StrCat(page.items.back().number())));
    return answer;
  });
}

grpc::Status RoutesService::DiffVersions(grpc::ServerContext* context, const v1::DiffVersionsRequest* request,
                                         v1::DiffVersionsResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::DiffVersionsResponse> {
    RETURN_IF_ERROR(CheckVersionNumber("a", request->a()));
    RETURN_IF_ERROR(CheckVersionNumber("b", request->b()));
    RouteStore& routes = deps_.store->routes();
    ASSIGN_OR_RETURN(const auto b, routes.GetVersion(request->gateway(), request->route(), request->b()));
    const int64_t number_a = request->a() != 0 ? request->a() : b.first.deployed_version();
    if (number_a == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(Describe(b.first), " was never deployed; name the version to compare with as `a`"));
    }
    ASSIGN_OR_RETURN(const auto a, routes.GetVersion(request->gateway(), request->route(), number_a));
    v1::DiffVersionsResponse answer;
    answer.set_a(a.second.number());
    answer.set_b(b.second.number());
    const std::vector<v1::ElementChange> changes =
        DiffRoutes(ParseRoute(a.second.json()).spec, ParseRoute(b.second.json()).spec);
    answer.mutable_changes()->Assign(changes.begin(), changes.end());
    return answer;
  });
}

grpc::Status RoutesService::ValidateRoute(grpc::ServerContext* context, const v1::ValidateRouteRequest* request,
                                          v1::ValidateRouteResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ValidateRouteResponse> {
    RETURN_IF_ERROR(CheckRouteJsonSize(request->json()));
    ASSIGN_OR_RETURN(const CheckedRoute checked, deps_.store->routes().Check(request->gateway(), request->json()));
    v1::ValidateRouteResponse answer;
    answer.set_compiles(checked.compiles);
    answer.mutable_faults()->Assign(checked.faults.begin(), checked.faults.end());
    return answer;
  });
}

grpc::Status RoutesService::Simulate(grpc::ServerContext* context, const v1::SimulateRequest* request,
                                     v1::SimulateResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::SimulateResponse> {
    ASSIGN_OR_RETURN(const v1::CompiledRoute compiled, CompileForSimulation(deps_.store->routes(), *request));
    return SimulateRoute(compiled, request->request(), request->assumptions());
  });
}

grpc::Status RoutesService::Deploy(grpc::ServerContext* context, const v1::DeployRequest* request,
                                   v1::DeployResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller& caller) -> absl::StatusOr<v1::DeployResponse> {
    RETURN_IF_ERROR(CheckVersionNumber("version", request->version()));
    RETURN_IF_ERROR(CheckComment(request->comment()));
    RETURN_IF_ERROR(CheckWait(request->wait_ms()));
    ASSIGN_OR_RETURN(const Deployed deployed,
                     deps_.store->routes().Deploy(request->gateway(), request->route(), request->version(), caller.name,
                                                  request->comment(), request->force()));
    return Publish(deployed, request->wait_ms());
  });
}

grpc::Status RoutesService::Rollback(grpc::ServerContext* context, const v1::RollbackRequest* request,
                                     v1::DeployResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller& caller) -> absl::StatusOr<v1::DeployResponse> {
    RETURN_IF_ERROR(CheckVersionNumber("to", request->to()));
    RETURN_IF_ERROR(CheckComment(request->comment()));
    RETURN_IF_ERROR(CheckWait(request->wait_ms()));
    ASSIGN_OR_RETURN(const Deployed deployed,
                     deps_.store->routes().Rollback(request->gateway(), request->route(), request->to(), caller.name,
                                                    request->comment(), request->force()));
    return Publish(deployed, request->wait_ms());
  });
}

grpc::Status RoutesService::ListDeployments(grpc::ServerContext* context, const v1::ListDeploymentsRequest* request,
                                            v1::ListDeploymentsResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListDeploymentsResponse> {
    const std::string listing = absl::StrCat("deployments/", request->gateway(), "/", request->route());
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const int64_t before, DecodeNumberToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const Page<v1::Deployment> page,
                     deps_.store->routes().ListDeployments(request->gateway(), request->route(), before, size));
    v1::ListDeploymentsResponse answer;
    answer.mutable_deployments()->Assign(page.items.begin(), page.items.end());
    if (page.more) answer.set_next_page_token(EncodePageToken(listing, absl::StrCat(page.items.back().id())));
    return answer;
  });
}

}  // namespace signalbox
