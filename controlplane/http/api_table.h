// Which path is which method: the one table between the HTTP port and the gRPC API. A path is made of literal segments
// and `{field}` segments that fill the named field of the request message (dots go into sub-messages); the last
// segment may end in a verb, `{route}:deploy`. Nothing else is known here about any method. Immutable; any thread.
#pragma once

#include <google/protobuf/descriptor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace signalbox {

struct ApiMethod {
  const char* verb;    // GET, POST, PUT, DELETE
  const char* path;    // /v1/gateways/{gateway}/routes/{route}:deploy
  const char* method;  // signalbox.v1.Routes.Deploy
};

const std::vector<ApiMethod>& ApiTable();

// The services that the table must cover; Spend, Snapshots and Quota are for proxies and speak gRPC only.
const std::vector<std::string>& ApiServices();

struct ApiMatch {
  const ApiMethod* method = nullptr;          // null: no entry
  std::map<std::string, std::string> fields;  // decoded
  std::vector<std::string> allowed;           // when only the verb is wrong: the verbs of that path
};

// `path` as it came over the wire, percent-encoded, without the query.
ApiMatch MatchApi(std::string_view verb, std::string_view path);

// Never null for a method of the table.
const google::protobuf::MethodDescriptor* FindMethod(const std::string& full_name);

// %41 -> A, and + -> space when `plus_is_space` (query strings). False when an escape is broken.
bool PercentDecode(std::string_view text, bool plus_is_space, std::string& decoded);

}  // namespace signalbox
