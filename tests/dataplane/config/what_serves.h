// Every table of a snapshot as text, so that two can be compared.
#pragma once

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "dataplane/config/active_snapshot.h"

namespace signalbox {

inline std::map<std::string, std::string> WhatServes(const ActiveSnapshot& active) {
  std::map<std::string, std::string> tables;
  for (const auto& [gateway_name, gateway] : active.gateways) {
    const std::string of = absl::StrCat("gateway ", gateway_name);
    tables[of] = gateway.settings == nullptr ? "" : gateway.settings->SerializeAsString();
    gateway.routes.ForEach([&](const std::string& name, const auto& route) {
      tables[absl::StrCat(of, " route ", name)] = route->SerializeAsString();
    });
    for (const auto& [name, provider] : gateway.providers) {
      tables[absl::StrCat(of, " provider ", name)] = provider->SerializeAsString();
    }
    for (const auto& [provider, prices] : gateway.prices) {
      for (const v1::ModelPrice& price : prices.prices()) {
        tables[absl::StrCat(of, " prices ", provider)] += price.SerializeAsString();
      }
    }
  }
  active.keys.ForEach([&](const std::string& sha256, const auto& key) {
    tables[absl::StrCat("key ", sha256)] = key->SerializeAsString();
  });
  return tables;
}

}  // namespace signalbox
