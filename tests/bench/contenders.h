// What is compared, each started when it is first asked for and stopped with this: the trivial upstream that all of
// them stand before, nginx as a bare reverse proxy, a Signalbox of a few routes, one of 2,000, Portkey's gateway. The
// real programs on free ports of the loopback. Failing to start one ends the program with a sentence. One thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/load/load_generator.h"
#include "tests/testing/child_process.h"

namespace signalbox {
class Stack;
}  // namespace signalbox

namespace signalbox::bench {

inline constexpr char kNginx[] = "nginx";
inline constexpr char kPlainModel[] = "Signalbox, plain model";
inline constexpr char kWalkthrough[] = "Signalbox, walkthrough's route";
inline constexpr char kManyRoutes[] = "Signalbox, the same with 2,000 routes";
inline constexpr char kManyKeys[] = "Signalbox, the same with 2,000 keys";
inline constexpr char kPortkey[] = "Portkey";
inline constexpr char kDirect[] = "direct to the trivial upstream";
inline constexpr char kDirectSimulated[] = "direct to the simulated provider";

inline constexpr size_t kSmallBytes = 1 << 10;  // bodies
inline constexpr size_t kLargeBytes = 50 << 10;
inline constexpr int kManyRoutesCount = 2'000;
inline constexpr int kManyKeysCount = 2'000;

// How one of them is called and what it consists of.
struct Contender {
  std::string name;
  std::string address;
  std::string model;
  std::string headers;  // besides the usual ones
  int64_t identifiers = 1;
  std::vector<pid_t> proxy;   // the processes that stand between client and provider
  std::vector<pid_t> others;  // what serves them besides: quota service, control plane

  // A chat completion with a body of so many bytes.
  Request Chat(size_t body_bytes, bool stream = false) const;
};

struct ContenderOptions {
  std::string directory;  // for their files
  std::string portkey;    // its server's script; empty: it is left out
  int events = 20;        // of a stream
  int interval_ms = 500;  // between them
  int64_t identifiers = 1'000;
};

class Contenders {
 public:
  explicit Contenders(ContenderOptions options);
  ~Contenders();

  Contender Get(const std::string& name);
  bool has_portkey() const { return !options_.portkey.empty(); }
  Stack& stack();               // with the walkthrough's route, its limits out of reach
  Stack& many_routes_stack();   // with 2,000 of it
  double many_routes_rss_mb();  // of its proxy, before anybody called it
  // nginx, and Signalbox's plain model, when the upstream speaks TLS.
  Contender TlsNginx();
  Contender TlsSignalbox();
  pid_t upstream_pid();
  std::string upstream_address();
  const ContenderOptions& options() const { return options_; }

 private:
  struct Nginx {
    ChildProcess process;
    std::string address;
  };
  Nginx StartNginx(const std::string& name, const std::string& server);
  Contender OfNginx(const std::string& name, const Nginx& nginx) const;
  Contender OfStack(const std::string& name, Stack& stack, const std::string& model) const;
  void MakeCertificate();
  const Nginx& tls_upstream();

  const ContenderOptions options_;
  std::optional<ChildProcess> upstream_;
  std::string upstream_address_;
  std::optional<Nginx> nginx_, tls_upstream_, tls_nginx_;
  std::optional<ChildProcess> portkey_;
  std::string portkey_address_;
  std::unique_ptr<Stack> NewStack();
  std::unique_ptr<Stack> stack_, many_routes_stack_, many_keys_stack_;
  double many_routes_rss_mb_ = 0;
  bool tls_provider_ = false;
};

// The walkthrough's route under another name, its limits so high that no load reaches them.
std::string BoundlessWalkthrough(const std::string& name);

[[noreturn]] void Die(const std::string& why);

}  // namespace signalbox::bench
