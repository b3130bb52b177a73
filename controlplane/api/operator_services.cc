#include "controlplane/api/operator_services.h"

#include <grpcpp/grpcpp.h>

#include "controlplane/api/admin_service.h"
#include "controlplane/api/counters_service.h"
#include "controlplane/api/gateways_service.h"
#include "controlplane/api/keys_service.h"
#include "controlplane/api/prices_service.h"
#include "controlplane/api/providers_service.h"
#include "controlplane/api/routes_service.h"

namespace signalbox {

struct OperatorServices::Services {
  explicit Services(const OperatorDeps& given)
      : deps(given),
        admin(deps),
        counters(deps),
        gateways(deps),
        keys(deps),
        prices(deps),
        providers(deps),
        routes(deps) {}
  const OperatorDeps deps;  // first: the services refer to it
  AdminService admin;
  CountersService counters;
  GatewaysService gateways;
  KeysService keys;
  PricesService prices;
  ProvidersService providers;
  RoutesService routes;
};

OperatorServices::OperatorServices(const OperatorDeps& deps) : services_(std::make_unique<Services>(deps)) {}
OperatorServices::~OperatorServices() = default;

void OperatorServices::Register(grpc::ServerBuilder& builder) {
  builder.RegisterService(&services_->admin)
      .RegisterService(&services_->counters)
      .RegisterService(&services_->gateways)
      .RegisterService(&services_->keys)
      .RegisterService(&services_->prices)
      .RegisterService(&services_->providers)
      .RegisterService(&services_->routes);
}

}  // namespace signalbox
