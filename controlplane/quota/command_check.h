// Whether what a peer sent can be evaluated at all, and the answer when it cannot. Each ...Fault gives a sentence about
// the first fault, or nothing. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

std::string IdFault(std::string_view what, const std::string& id);  // proxy, boot, request, adjustment
// `exists` is asked for the key of each check up to the first fault, in order: a key that a counter has has no fault.
using KeyExists = absl::FunctionRef<bool(const v1::CounterKey&)>;
std::string AcquireFault(const v1::Acquire& acquire, KeyExists exists);
std::string AcquireFault(const v1::Acquire& acquire);
std::string ExtendFault(const v1::Extend& extend);
std::string SettleFault(const v1::Settle& settle);
std::string ForceChargeFault(const v1::ForceCharge& charge);
std::string AdjustFault(const v1::AdjustCounterRequest& request);
std::string SenderFault(const v1::QuotaRequest& message);  // of its proxy and boot ids

// Answers that a command is INVALID, and each of a message whose sender has a fault.
void Refuse(v1::QuotaAnswer& answer, std::string fault);
void RefuseAll(const v1::QuotaRequest& message, const std::string& fault, v1::QuotaResponse& answers);

}  // namespace signalbox
