#include "tests/simprovider/journal.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"

namespace signalbox::sim {
namespace {

constexpr size_t kRequestsMax = 2'000;
constexpr size_t kBytesMax = 64 << 20;

size_t SizeOf(const ReceivedRequest& request) { return request.body.size() + 1'024; }

}  // namespace

void Journal::Add(ReceivedRequest request) {
  bytes_ += SizeOf(request);
  requests_.push_front(std::move(request));
  while (requests_.size() > 1 && (requests_.size() > kRequestsMax || bytes_ > kBytesMax)) {
    bytes_ -= SizeOf(requests_.back());
    requests_.pop_back();
  }
}

std::string Journal::ToJson(size_t count) const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (size_t i = 0; i < std::min(count, requests_.size()); ++i) {
    const ReceivedRequest& request = requests_[i];
    nlohmann::ordered_json headers = nlohmann::ordered_json::array();
    for (const auto& [name, value] : request.headers) headers.push_back({name, value});
    list.push_back({{"method", request.method},
                    {"target", request.target},
                    {"headers", std::move(headers)},
                    {"body", request.body},
                    {"body_base64", absl::Base64Escape(request.body)}});
  }
  const nlohmann::ordered_json json = {{"requests", std::move(list)}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace signalbox::sim
