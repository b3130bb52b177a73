#include "dataplane/request/health_prober.h"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "dataplane/http/upstream.h"
#include "dataplane/provider/provider_call.h"

namespace signalbox {
namespace {

// One endpoint being watched.
struct Watched {
  Watched(asio::io_context& io, std::shared_ptr<const v1::SnapshotProvider> of, v1::SnapshotProvider::Endpoint at)
      : provider(std::move(of)), endpoint(std::move(at)), timer(io) {}
  const std::shared_ptr<const v1::SnapshotProvider> provider;
  const v1::SnapshotProvider::Endpoint endpoint;
  asio::steady_timer timer;
  bool stopped = false;
};

UpstreamRequest Question(const Watched& watched, const UpstreamEndpoint& place, int64_t unix_us) {
  const v1::SnapshotProvider& provider = *watched.provider;
  CallPlace call_place;
  call_place.secret = watched.endpoint.secret();
  call_place.host = place.authority();
  call_place.path_prefix = place.path_prefix;
  std::string target = absl::StrCat(place.path_prefix, provider.health_check().path());
  ProviderCall call = BuildRawCall(provider, call_place, "GET", std::move(target), "", unix_us);
  UpstreamRequest request;
  request.method = "GET";
  request.target = std::move(call.target);
  request.headers = std::move(call.headers);
  for (const auto& [name, value] : provider.headers()) request.headers.Add(name, value);
  return request;
}

}  // namespace

struct HealthProber::State {
  State(asio::io_context& of_io, asio::ssl::context& tls, ProviderHealth& of_health, const Clock& of_clock)
      : io(of_io), health(of_health), clock(of_clock), upstreams(NewUpstreamPool(of_io, tls)) {}

  asio::io_context& io;
  ProviderHealth& health;
  const Clock& clock;
  std::unique_ptr<UpstreamPool> upstreams;
  KnownEndpoints endpoints;
  std::mt19937_64 random{std::random_device{}()};
  std::vector<std::shared_ptr<Watched>> watched;

  static asio::awaitable<void> Loop(std::shared_ptr<State> self, std::shared_ptr<Watched> watched) {
    const int64_t interval_us = int64_t{std::max(watched->provider->health_check().interval_s(), 1)} * 1'000'000;
    // The first one soon, but not all of a fleet's at the same moment.
    int64_t wait_us = static_cast<int64_t>(self->random() % static_cast<uint64_t>(interval_us / 10 + 1));
    while (!watched->stopped) {
      watched->timer.expires_after(std::chrono::microseconds(wait_us));
      boost::system::error_code ignored;  // cancelled: stopped, which is asked next
      co_await watched->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (watched->stopped) co_return;
      co_await AskOnce(self, watched);
      wait_us = interval_us;
    }
  }

  static asio::awaitable<void> AskOnce(std::shared_ptr<State> self, std::shared_ptr<Watched> watched) {
    using Check = ProviderHealth::Check;
    const absl::StatusOr<std::shared_ptr<const UpstreamEndpoint>> place =
        self->endpoints.At(watched->endpoint.base_url());
    if (!place.ok()) co_return;  // the control plane does not let one pass
    const UpstreamRequest request = Question(*watched, **place, self->clock.UnixMicros());
    const std::unique_ptr<UpstreamCall> call = self->upstreams->NewCall(*place);
    const int64_t deadline_us = self->clock.MonotonicMicros() + int64_t{kHealthCheckTimeoutMs} * 1'000;
    const absl::StatusOr<UpstreamHead> head = co_await call->Start(request, deadline_us);
    Check result = Check::kFailed;
    std::string error;
    if (!head.ok()) {
      error = absl::IsDeadlineExceeded(head.status()) ? "check_timeout" : "check_connect";
    } else {
      // Read so that the connection serves the next one too; what it says is of no interest.
      const absl::StatusOr<std::string> body = co_await call->ReadAll(kErrorBodyBytesMax, deadline_us);
      if (head->status >= 500) error = absl::StrCat("check_status_", head->status);
      if (head->status < 500) result = head->status < 400 ? Check::kHealthy : Check::kReached;
      if (!body.ok()) call->Cancel();
    }
    if (watched->stopped) co_return;
    self->health.Checked(*watched->provider, watched->endpoint.name(), result, error, self->clock.MonotonicMicros());
  }

  static void Replace(const std::shared_ptr<State>& self,
                      const std::vector<std::shared_ptr<const v1::SnapshotProvider>>& providers) {
    std::vector<std::shared_ptr<Watched>> next;
    for (const auto& provider : providers) {
      if (!provider->has_health_check()) continue;
      for (const v1::SnapshotProvider::Endpoint& endpoint : EndpointsOf(*provider)) {
        const auto same = std::find_if(self->watched.begin(), self->watched.end(), [&](const auto& other) {
          return other->provider == provider && other->endpoint.name() == endpoint.name();
        });
        if (same != self->watched.end()) {
          next.push_back(*same);
          continue;
        }
        next.push_back(std::make_shared<Watched>(self->io, provider, endpoint));
        asio::co_spawn(self->io, Loop(self, next.back()), asio::detached);
      }
    }
    for (const auto& old : self->watched) {
      if (std::find(next.begin(), next.end(), old) != next.end()) continue;
      old->stopped = true;
      old->timer.cancel();
    }
    self->watched = std::move(next);
  }
};

HealthProber::HealthProber(asio::io_context& io, asio::ssl::context& tls, ProviderHealth& health, const Clock& clock)
    : state_(std::make_shared<State>(io, tls, health, clock)) {}

HealthProber::~HealthProber() = default;

void HealthProber::Watch(std::vector<std::shared_ptr<const v1::SnapshotProvider>> providers) {
  asio::post(state_->io, [state = state_, providers = std::move(providers)] { State::Replace(state, providers); });
}

}  // namespace signalbox
