// The simulated provider's own account of what it sold: the independent truth that tests compare the ledger to. Shares
// no code with the gateway's prices and money; prices are exact decimals from its own file. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace signalbox::sim {

// Nano-dollars per million tokens.
struct Price {
  int64_t input = 0;
  int64_t cached_input = 0;
  int64_t output = 0;
  int64_t cache_write = 0;
  int64_t audio_input = 0;
  int64_t audio_output = 0;
};

struct Usage {
  int64_t input = 0;
  int64_t cached = 0;  // part of input
  int64_t output = 0;
  int64_t reasoning = 0;     // part of output
  int64_t written = 0;       // part of input: into the cache
  int64_t audio_input = 0;   // part of input
  int64_t audio_output = 0;  // part of output
};

// "1.25" dollars as 1'250'000'000 nano-dollars. INVALID_ARGUMENT for signs, exponents, more than nine decimals.
absl::StatusOr<int64_t> ParseDollars(std::string_view text);

class PriceList {
 public:
  // {"models": {"gpt-5.1": {"input": "1.25", "cached_input": "0.125", "output": "10.00"}, ...}}; besides, where they
  // differ from input and output: "cache_write", "audio_input", "audio_output".
  static absl::StatusOr<PriceList> Parse(std::string_view json);
  // Null when the model is not for sale here.
  const Price* Find(const std::string& model) const;
  std::vector<std::string> Models() const;

 private:
  std::map<std::string, Price> prices_;
};

// One call's cost in nano-dollars, rounded up once.
int64_t Cost(const Price& price, const Usage& usage);

struct BillLine {
  std::string request_id;  // the caller's x-client-request-id
  std::string model;
  std::string format;  // it was asked in: chat, messages ...
  Usage usage;
  int64_t cost_nanos = 0;
  int status = 0;  // 0: none was sent
  bool stream = false;
  bool completed = false;  // the whole answer was sent
  bool told = false;       // the whole usage was sent to the caller in a shape that can be read
  bool priced = true;      // false: the model has no price here and costs nothing
};

class Bill {
 public:
  explicit Bill(PriceList prices) : prices_(std::move(prices)) {}
  // Opens a line; it costs nothing until Charge. Returns its index, which stays valid until Clear.
  size_t Open(std::string request_id, std::string model, bool stream, std::string format = "chat");
  // Replaces what the line used so far.
  void Charge(size_t line, const Usage& usage);
  void SetStatus(size_t line, int status);
  void SetCompleted(size_t line, bool completed);
  void SetTold(size_t line, bool told);
  int CallsOf(const std::string& request_id) const;  // lines opened for it
  const PriceList& prices() const { return prices_; }
  int64_t total_nanos() const { return total_nanos_; }
  const std::vector<BillLine>& lines() const { return lines_; }
  std::string ToJson() const;
  // Forgets every line; indices from before are ignored from then on.
  void Clear();

 private:
  BillLine* At(size_t line);
  PriceList prices_;
  std::vector<BillLine> lines_;
  std::map<std::string, int> calls_;  // by request id
  size_t cleared_ = 0;                // lines dropped by Clear: indices keep counting past them
  int64_t total_nanos_ = 0;
};

}  // namespace signalbox::sim
