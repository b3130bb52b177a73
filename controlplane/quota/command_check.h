// Whether what a peer sent can be evaluated at all, and the answer when it cannot. Each ...Fault gives a sentence about
// the first fault, or nothing. Pure.
#pragma once

#include <string>
#include <string_view>

#include "signalbox/v1/quota.pb.h"

namespace signalbox {

std::string IdFault(std::string_view what, const std::string& id);  // proxy, boot, request, adjustment
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
