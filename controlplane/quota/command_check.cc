#include "controlplane/quota/command_check.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "controlplane/quota/counter_key.h"

namespace signalbox {
namespace {

std::string CheckFault(const v1::Acquire& acquire, const v1::LimitCheck& check, KeyExists exists) {
  if (!exists(check.counter())) {
    if (std::string fault = KeyFault(check.counter()); !fault.empty()) return fault;
  }
  if (check.limit() <= 0) return absl::StrCat("the limit ", check.limit(), " is not positive");
  if (check.counter().unit() == v1::REQUESTS) return "";
  if (check.counter().unit() == v1::NANO_DOLLARS && check.limit() > kLimitNanosMax) {
    return absl::StrCat("the limit is above ", kLimitNanosMax, " nano-dollars");
  }
  if (check.counter().unit() == v1::TOKENS && check.limit() > kLimitTokensMax) {
    return absl::StrCat("the limit is above ", kLimitTokensMax, " tokens");
  }
  if (check.admission() != v1::STRICT && check.admission() != v1::OBSERVED) {
    return absl::StrCat("the admission ", static_cast<int>(check.admission()), " is not known to this quota service");
  }
  if (acquire.output_cap() <= 0) return "an acquire of dollars or tokens asks for no output tokens";
  for (const uint32_t index : check.bounds()) {
    if (index >= static_cast<uint32_t>(acquire.bounds_size())) {
      return absl::StrCat("bound ", index, " does not exist; there are ", acquire.bounds_size());
    }
  }
  return "";
}

std::string ReasonFault(std::string_view what, const std::string& text) {
  if (text.empty()) return absl::StrCat("the adjustment does not say ", std::string(what));
  if (text.size() <= kQuotaReasonBytesMax) return "";
  return absl::StrCat("the adjustment's ", std::string(what), " is longer than ", kQuotaReasonBytesMax, " bytes");
}

}  // namespace

std::string IdFault(std::string_view what, const std::string& id) {
  if (id.empty()) return absl::StrCat("the ", std::string(what), " is empty");
  if (id.size() > kQuotaIdBytesMax) {
    return absl::StrCat("the ", std::string(what), " is longer than ", kQuotaIdBytesMax, " bytes");
  }
  return "";
}

std::string AcquireFault(const v1::Acquire& acquire, KeyExists exists) {
  if (std::string fault = IdFault("request id", acquire.request_id()); !fault.empty()) return fault;
  if (acquire.checks_size() > kQuotaChecksMax) return absl::StrCat("more than ", kQuotaChecksMax, " limits at once");
  if (acquire.bounds_size() > kQuotaBoundsMax) return absl::StrCat("more than ", kQuotaBoundsMax, " bounds at once");
  if (acquire.output_cap() < 0) return "the output cap is negative";
  for (int i = 0; i < acquire.bounds_size(); ++i) {
    const v1::AttemptBound& bound = acquire.bounds(i);
    if (bound.input_nanos() < 0 || bound.output_nanos_per_mtok() < 0 || bound.max_output_tokens() < 0 ||
        bound.choices() < 0 || bound.input_tokens() < 0) {
      return absl::StrCat("bound ", i, " has a negative number");
    }
  }
  for (int i = 0; i < acquire.checks_size(); ++i) {
    std::string fault = CheckFault(acquire, acquire.checks(i), exists);
    if (!fault.empty()) return absl::StrCat("check ", i, ": ", fault);
  }
  return "";
}

std::string AcquireFault(const v1::Acquire& acquire) {
  return AcquireFault(acquire, [](const v1::CounterKey&) { return false; });
}

std::string ExtendFault(const v1::Extend& extend) {
  if (std::string fault = IdFault("request id", extend.request_id()); !fault.empty()) return fault;
  return extend.required_nanos() < 0 || extend.required_tokens() < 0 ? "the amount to extend to is negative" : "";
}

std::string SettleFault(const v1::Settle& settle) {
  if (std::string fault = IdFault("request id", settle.request_id()); !fault.empty()) return fault;
  return settle.cost_nanos() < 0 || settle.tokens() < 0 ? "what was used is negative" : "";
}

std::string ForceChargeFault(const v1::ForceCharge& charge) {
  if (std::string fault = IdFault("request id", charge.request_id()); !fault.empty()) return fault;
  if (std::string fault = KeyFault(charge.counter()); !fault.empty()) return fault;
  return charge.amount() < 0 ? "the amount is negative" : "";
}

std::string AdjustFault(const v1::AdjustCounterRequest& request) {
  if (std::string fault = IdFault("adjustment id", request.adjustment_id()); !fault.empty()) return fault;
  if (std::string fault = KeyFault(request.key()); !fault.empty()) return fault;
  if (request.reset() == (request.delta() != 0)) return "an adjustment either resets or has a delta that is not 0";
  if (std::string fault = ReasonFault("who", request.who()); !fault.empty()) return fault;
  return ReasonFault("why", request.why());
}

std::string SenderFault(const v1::QuotaRequest& message) {
  if (std::string fault = IdFault("proxy id", message.proxy_id()); !fault.empty()) return fault;
  return IdFault("boot id", message.boot_id());
}

void Refuse(v1::QuotaAnswer& answer, std::string fault) {
  answer.set_result(v1::QuotaAnswer::INVALID);
  answer.set_message(std::move(fault));
}

void RefuseAll(const v1::QuotaRequest& message, const std::string& fault, v1::QuotaResponse& answers) {
  for (const v1::QuotaCommand& command : message.commands()) {
    v1::QuotaAnswer& answer = *answers.add_answers();
    answer.set_sequence(command.sequence());
    Refuse(answer, fault);
  }
}

}  // namespace signalbox
