#include "controlplane/api/method_roles.h"

namespace signalbox {

const std::vector<MethodRole>& MethodRoles() {
  static const auto* const table = new std::vector<MethodRole>{
      {"signalbox.v1.Gateways.ListGateways", Role::kViewer},
      {"signalbox.v1.Gateways.CreateGateway", Role::kAdmin, true},
      {"signalbox.v1.Gateways.UpdateGateway", Role::kAdmin, true},

      {"signalbox.v1.Routes.GetRoute", Role::kViewer},
      {"signalbox.v1.Routes.ListRoutes", Role::kViewer},
      {"signalbox.v1.Routes.GetVersion", Role::kViewer},
      {"signalbox.v1.Routes.ListVersions", Role::kViewer},
      {"signalbox.v1.Routes.DiffVersions", Role::kViewer},
      {"signalbox.v1.Routes.ListDeployments", Role::kViewer},
      {"signalbox.v1.Routes.ValidateRoute", Role::kViewer},
      {"signalbox.v1.Routes.Simulate", Role::kViewer},
      {"signalbox.v1.Routes.CreateRoute", Role::kEditor, true},  // with `deploy` a deployer
      {"signalbox.v1.Routes.SaveVersion", Role::kEditor, true},
      {"signalbox.v1.Routes.RenameRoute", Role::kEditor, true},  // of a deployed route a deployer
      {"signalbox.v1.Routes.Deploy", Role::kDeployer, true},
      {"signalbox.v1.Routes.Rollback", Role::kDeployer, true},
      {"signalbox.v1.Routes.DeleteRoute", Role::kDeployer, true},

      {"signalbox.v1.Providers.ListProviders", Role::kViewer},
      {"signalbox.v1.Providers.ListProviderStatus", Role::kViewer},
      {"signalbox.v1.Providers.ApplyProvider", Role::kAdmin, true},
      {"signalbox.v1.Providers.DeleteProvider", Role::kAdmin, true},

      {"signalbox.v1.Keys.ListKeys", Role::kViewer},
      {"signalbox.v1.Keys.CreateKey", Role::kAdmin, true},
      {"signalbox.v1.Keys.RevokeKey", Role::kAdmin, true},

      {"signalbox.v1.Prices.GetPrice", Role::kViewer},
      {"signalbox.v1.Prices.ListPrices", Role::kViewer},
      {"signalbox.v1.Prices.GetPriceCatalogue", Role::kViewer},
      {"signalbox.v1.Prices.SetPrice", Role::kAdmin, true},
      {"signalbox.v1.Prices.RefreshPrices", Role::kAdmin, true},

      {"signalbox.v1.Usage.QueryUsage", Role::kViewer},
      {"signalbox.v1.Usage.ListRequests", Role::kViewer},
      {"signalbox.v1.Usage.GetRequest", Role::kViewer},

      {"signalbox.v1.Counters.ListCounters", Role::kViewer},
      {"signalbox.v1.Counters.GetCounter", Role::kViewer},
      {"signalbox.v1.Counters.ListLimits", Role::kViewer},
      {"signalbox.v1.Counters.ListAdjustments", Role::kViewer},
      {"signalbox.v1.Counters.ResetCounter", Role::kAdmin, true},
      {"signalbox.v1.Counters.AdjustCounter", Role::kAdmin, true},

      {"signalbox.v1.Fleet.ListProxies", Role::kViewer},

      {"signalbox.v1.Admin.GetServerInfo", Role::kViewer},
      {"signalbox.v1.Admin.ListTokens", Role::kViewer},
      {"signalbox.v1.Admin.ListAudit", Role::kViewer},
      {"signalbox.v1.Admin.Backup", Role::kAdmin, true},
      {"signalbox.v1.Admin.CreateToken", Role::kAdmin, true},
      {"signalbox.v1.Admin.RevokeToken", Role::kAdmin, true},

      {kSessionStart, Role::kViewer, true},
      {kSessionEnd, Role::kViewer, true},
      {kLiveRun, Role::kEditor, true},
  };
  return *table;
}

MethodRole RoleOf(std::string_view method) {
  for (const MethodRole& entry : MethodRoles()) {
    if (entry.method == method) return entry;
  }
  return {method, Role::kAdmin, true};
}

}  // namespace signalbox
