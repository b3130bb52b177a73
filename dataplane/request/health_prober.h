// Active health checks: asks each endpoint of the providers that want it, every interval, with GET {base_url}{path} and
// the endpoint's key, and tells ProviderHealth. Runs on one worker's io_context; everything but the constructor and
// Watch on its thread. Owned by the dataplane; what it started ends with Stop, or with the io_context.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <vector>

#include "common/clock.h"
#include "dataplane/health/provider_health.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

namespace asio = boost::asio;

class HealthProber {
 public:
  // `tls` and `health` outlive it.
  HealthProber(asio::io_context& io, asio::ssl::context& tls, ProviderHealth& health, const Clock& clock);
  ~HealthProber();
  HealthProber(const HealthProber&) = delete;
  HealthProber& operator=(const HealthProber&) = delete;

  // From now on these, and no others; one that is watched already goes on in its rhythm. Any thread.
  void Watch(std::vector<std::shared_ptr<const v1::SnapshotProvider>> providers);
  // Any thread; nothing is asked any more once the io_context has come to it.
  void Stop() { Watch({}); }

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace signalbox
