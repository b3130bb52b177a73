// What makes two requests identical: they get the same answer. Everything that decides the provider's answer is in the
// key, and so is who may share it; what only decides how the request got to the model (its route, metadata, limits) is
// not. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace signalbox {

struct CacheKeyParts {
  std::string_view gateway;
  // Who shares: the keys of one cache group, or one key alone. A group may be called as a key's id is.
  std::string_view cache_group;
  std::string_view key_id;       // counts only without a group
  std::string_view format;       // of the client: the answer is kept in it
  bool stream = false;           // a stream is replayed as one, and to nobody who asked for none
  bool usage_in_stream = false;  // whether the client asked to be told the usage
  std::string_view endpoint;     // what of the path or its query the format does not say
  std::string_view provider;
  std::string_view byok_alias;  // the provider's endpoint that the client names
  std::string_view model;
  std::string_view parameters;  // the model element's
  std::string_view body;        // as the provider gets it but for the gateway's own cap; counts without a client_key
  std::string_view client_key;  // cf-aig-cache-key: in place of the body
  // The client's headers that providers read, by lower-case name, in the order they came.
  std::vector<std::pair<std::string_view, std::string_view>> headers;
};

// 32 bytes: a SHA-256, of every part with its length before it.
std::string CacheKey(const CacheKeyParts& parts);

// Whether a client's header can change what a provider answers: its versions, betas, projects and regions.
bool IsProviderHeader(std::string_view lower_case_name);

}  // namespace signalbox
