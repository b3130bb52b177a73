// A sample request as the walker sees it: the simulator's stand-in for a proxy's parsed request. Reads metadata as a
// proxy does: the sample's own, then the metadata header, then the body's. Immutable after Parse; any thread.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "common/route/request_view.h"
#include "signalbox/v1/route.pb.h"

namespace signalbox {

class SampleRequestView : public RequestView {
 public:
  // INVALID_ARGUMENT when a part is not the JSON it should be.
  static absl::StatusOr<std::unique_ptr<SampleRequestView>> Parse(const v1::SampleRequest& request,
                                                                  const std::string& route_name);

  FieldValue Get(const v1::FieldRef& field) const override;
  int64_t body_bytes() const { return body_bytes_; }
  int64_t choices() const { return choices_; }        // n, or 1
  int64_t output_cap() const { return output_cap_; }  // the client's; 0: none

 private:
  SampleRequestView() = default;
  absl::Status MergeMetadata(const std::string& what, const nlohmann::json& object);

  nlohmann::json body_;
  nlohmann::json metadata_ = nlohmann::json::object();
  std::map<std::string, std::string> headers_;  // names in lower case
  int64_t body_bytes_ = 0;
  int64_t choices_ = 1;
  int64_t output_cap_ = 0;
};

}  // namespace signalbox
