// signalboxctl's line to the control plane: finds the token, connects on first use, makes calls with a deadline,
// follows pages. One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/limits.h"
#include "common/rpc/rpc.h"
#include "common/status_macros.h"

namespace signalbox {

inline constexpr int kCallTimeoutMs = 15'000;

struct ConnectionFlags {
  std::string server = "127.0.0.1:9090";
  std::string token_file;  // empty: $SIGNALBOX_TOKEN_FILE, then ./data/controlplane/admin.token
  TlsFiles tls;
};

class ControlPlaneClient {
 public:
  explicit ControlPlaneClient(const ConnectionFlags& flags) : flags_(flags) {}

  // One call of `Service::method`: Call<v1::Routes>(&v1::Routes::Stub::GetRoute, request).
  template <typename Service, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request, int extra_ms = 0) {
    RETURN_IF_ERROR(Connect());
    grpc::ClientContext context;
    Prepare(context, extra_ms);
    typename Service::Stub stub(channel_);
    Response response;
    RETURN_IF_ERROR(Explain((stub.*method)(&context, request, &response)));
    return response;
  }

  // All pages of a list in one response; `items` is the accessor of the list. At most `limit` items, 0: all.
  template <typename Service, typename Request, typename Response, typename Items>
  absl::StatusOr<Response> CallPages(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                           Response*),
                                     Request request, Items* (Response::*items)(), int limit = 0) {
    Response all;
    do {
      const int so_far = (all.*items)()->size();
      request.set_page_size(limit == 0 ? kPageSizeMax : std::min(kPageSizeMax, limit - so_far));
      ASSIGN_OR_RETURN(const Response page, Call<Service>(method, request));
      all.MergeFrom(page);
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty() && (limit == 0 || (all.*items)()->size() < limit));
    all.clear_next_page_token();
    return all;
  }

 private:
  absl::Status Connect();
  void Prepare(grpc::ClientContext& context, int extra_ms) const;
  absl::Status Explain(const grpc::Status& status) const;

  const ConnectionFlags& flags_;
  std::string token_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace signalbox
