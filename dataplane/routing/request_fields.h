// The fields a route may look at: metadata (merged from key, header and body), the body, the headers. One request's,
// one thread's; key, headers and body outlive it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/route/request_view.h"
#include "dataplane/http/header_fields.h"
#include "dataplane/provider/request_body.h"
#include "dataplane/routing/refusal.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

using Metadata = std::vector<std::pair<std::string, v1::Scalar>>;

// Key by key, strongest first: what the API key pins, the cf-aig-metadata header (or signalbox-metadata; both is a
// 400), the body's metadata. 400 invalid_metadata when the header is not a flat JSON object of scalars, names a key
// twice, or the merge has more than kMetadataEntriesMax entries or kMetadataBytesMax bytes.
std::variant<Metadata, Refusal> MergeMetadata(const v1::SnapshotKey& key, const HeaderFields& headers,
                                              const RequestBody& body);
// {"plan":"free",...} for the spend record.
std::string MetadataJson(const Metadata& metadata);

class RequestFields : public RequestView {
 public:
  RequestFields(const Metadata& metadata, const RequestBody& body, const HeaderFields& headers)
      : metadata_(metadata), body_(body), headers_(headers) {}
  FieldValue Get(const v1::FieldRef& field) const override;

 private:
  const Metadata& metadata_;
  const RequestBody& body_;
  const HeaderFields& headers_;
};

}  // namespace signalbox
