#include "dataplane/routing/request_options.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox {
namespace {

constexpr size_t kTextBytesMax = 256;  // of an event id, a cache key, an alias

// One option's header, whichever of its two names it has.
struct Header {
  std::string name;
  std::string value;
  bool given = false;
};

constexpr absl::string_view kPrefixes[] = {"cf-aig-", "signalbox-"};

// Empty: the header is no option.
absl::string_view PrefixOf(absl::string_view header) {
  for (const absl::string_view prefix : kPrefixes) {
    if (absl::StartsWith(header, prefix)) return prefix;
  }
  return {};
}

class HeaderReader {
 public:
  // Most requests have no header that is an option: what is none is not looked through for each.
  explicit HeaderReader(const HeaderFields& headers) {
    for (const HeaderFields::Field field : headers) {
      const absl::string_view name(field.name.data(), field.name.size());
      const absl::string_view prefix = PrefixOf(name);
      const absl::string_view option = name.substr(prefix.size());
      if (prefix.empty() || option == "metadata" || option == "authorization") continue;  // those are read elsewhere
      own_.push_back({prefix, option, {field.value.data(), field.value.size()}});
    }
  }

  bool empty() const { return own_.empty(); }

  Header Find(absl::string_view option) {
    Header header;
    size_t sent = 0;
    for (const absl::string_view prefix : kPrefixes) {
      bool found = false;
      for (const Own& own : own_) {
        if (own.option != option || own.prefix != prefix) continue;
        ++sent;
        if (std::exchange(found, true)) continue;  // the first of that name
        header.name = absl::StrCat(prefix, option);
        header.value = std::string(own.value);
        header.given = true;
      }
    }
    if (sent > 1) {
      Fail(header, absl::StrCat("is sent more than once: send cf-aig-", option, " or signalbox-", option, ", once"));
    }
    return header;
  }

  std::optional<int64_t> Integer(absl::string_view option, int64_t min, int64_t max) {
    const Header header = Find(option);
    if (!header.given) return std::nullopt;
    int64_t value = 0;
    if (!absl::SimpleAtoi(header.value, &value) || value < min || value > max) {
      Fail(header, absl::StrCat("must be an integer from ", min, " to ", max));
      return std::nullopt;
    }
    return value;
  }

  std::optional<bool> Boolean(absl::string_view option) {
    const Header header = Find(option);
    if (!header.given) return std::nullopt;
    if (header.value != "true" && header.value != "false") {
      Fail(header, "must be true or false");
      return std::nullopt;
    }
    return header.value == "true";
  }

  std::string Text(absl::string_view option) {
    const Header header = Find(option);
    if (!header.given) return "";
    const bool printable =
        std::all_of(header.value.begin(), header.value.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (header.value.empty() || header.value.size() > kTextBytesMax || !printable) {
      Fail(header, absl::StrCat("must be 1 to ", kTextBytesMax, " printable ASCII characters"));
      return "";
    }
    return header.value;
  }

  void Fail(const Header& header, const std::string& why) {
    if (fault_.empty()) fault_ = absl::StrCat("the header ", header.name, " ", why), param_ = header.name;
  }
  const std::string& fault() const { return fault_; }
  const std::string& param() const { return param_; }

 private:
  struct Own {
    absl::string_view prefix;
    absl::string_view option;  // as the client writes it
    absl::string_view value;
  };
  absl::InlinedVector<Own, 4> own_;  // in the order sent
  std::string fault_;
  std::string param_;
};

}  // namespace

std::variant<RequestOptions, Refusal> ReadRequestOptions(const HeaderFields& headers) {
  HeaderReader reader(headers);
  RequestOptions options;
  if (reader.empty()) return options;
  options.cache_ttl_s = reader.Integer("cache-ttl", 0, kCacheTtlSecondsMax);
  options.skip_cache = reader.Boolean("skip-cache").value_or(false);
  options.cache_key = reader.Text("cache-key");
  if (const std::optional<int64_t> attempts = reader.Integer("max-attempts", 1, 5)) {
    options.max_attempts = static_cast<int>(*attempts);
  }
  options.retry_delay_ms = reader.Integer("retry-delay", 0, kRetryDelayMsMax);
  if (const Header backoff = reader.Find("backoff"); backoff.given) {
    options.backoff = backoff.value;
    if (backoff.value != "constant" && backoff.value != "linear" && backoff.value != "exponential") {
      reader.Fail(backoff, "must be constant, linear or exponential");
    }
  }
  options.request_timeout_ms = reader.Integer("request-timeout", 1, kModelTimeoutMsMax);
  if (const Header cost = reader.Find("custom-cost"); cost.given) options.custom_cost = cost.value;
  options.collect_log = reader.Boolean("collect-log");
  options.collect_log_payload = reader.Boolean("collect-log-payload");
  options.event_id = reader.Text("event-id");
  options.byok_alias = reader.Text("byok-alias");
  if (!reader.fault().empty()) return Refusal(400, "invalid_header", reader.fault(), reader.param());
  return options;
}

std::string ReadEventId(const HeaderFields& headers) {
  HeaderReader reader(headers);
  if (reader.empty()) return "";
  std::string event_id = reader.Text("event-id");
  return reader.fault().empty() ? event_id : "";
}

}  // namespace signalbox
