// Every bound of the system by name, units last. docs/errors.md says what a client sees past each.
#pragma once

#include <cstddef>
#include <cstdint>

namespace signalbox {

// Version of the compiled snapshot format this build reads and writes (proto/signalbox/v1/compiled.proto).
inline constexpr int kSchema = 1;

// Routes.
inline constexpr size_t kRouteJsonBytesMax = 1 << 20;
inline constexpr int kElementsMax = 256;
inline constexpr int kRouteDepthMax = 64;
inline constexpr int kConditionDepthMax = 16;
inline constexpr int kModelRetriesMax = 10;
inline constexpr int kModelTimeoutMsMax = 3'600'000;
inline constexpr size_t kNameBytesMax = 128;
inline constexpr int64_t kWindowSecondsMax = 366LL * 86'400;

// Requests.
inline constexpr size_t kRequestHeaderBytesMax = 32 << 10;
inline constexpr size_t kRequestBodyBytesMax = 32 << 20;
inline constexpr size_t kResponseHeaderBytesMax = 64 << 10;
inline constexpr size_t kUnaryResponseBytesMax = 64 << 20;
inline constexpr size_t kSseEventBytesMax = 4 << 20;
inline constexpr int kMetadataEntriesMax = 32;
inline constexpr int kRequestHeaderTimeoutMs = 10'000;
inline constexpr int kRequestBodyTimeoutMs = 60'000;
inline constexpr int kIdleConnectionTimeoutMs = 75'000;
inline constexpr int kConnectTimeoutMs = 5'000;
inline constexpr int kDrainTimeoutMs = 30'000;
inline constexpr int kConnectionsMaxPerWorker = 8'000;

// Money and limits. Money is int64 nano-dollars everywhere.
inline constexpr int64_t kNanosPerDollar = 1'000'000'000;
inline constexpr int64_t kTokensPerPriceUnit = 1'000'000;
inline constexpr int64_t kLimitNanosMax = 1'000'000'000LL * kNanosPerDollar;
inline constexpr int64_t kMinimumOutputTokens = 256;  // a hold's least output
inline constexpr int64_t kCapShareOfLimit = 16;       // without a client's cap a hold takes at most limit / 16
inline constexpr size_t kIdentifierBytesMax = 1024;

// Quota sessions.
inline constexpr int64_t kQuotaBatchPaceUs = 250;
inline constexpr int kQuotaBatchCommandsMax = 1'000;
inline constexpr int64_t kQuotaCallTimeoutUs = 1'000'000;
inline constexpr int64_t kHeartbeatUs = 5'000'000;
inline constexpr int64_t kSuspendAfterUs = 60'000'000;
inline constexpr int64_t kBelievedClockJumpUs = 3'600'000'000;
static_assert(kSuspendAfterUs >= 4 * kHeartbeatUs, "a few lost heartbeats must not suspend");

// Snapshots.
inline constexpr size_t kOfferChunkBytesMax = 1 << 20;
inline constexpr size_t kBlobBytesMax = 16 << 20;
inline constexpr int64_t kDebounceUs = 20'000;
inline constexpr int64_t kStatusUs = 15'000'000;
inline constexpr int kShrinkGuardRoutesMin = 10;  // from so many routes on, losing over half needs force

// Spend.
inline constexpr int64_t kSpoolBytesMax = 1LL << 30;
inline constexpr size_t kSpendBatchRecordsMax = 500;

// Pages.
inline constexpr int kPageSizeDefault = 100;
inline constexpr int kPageSizeMax = 1'000;

}  // namespace signalbox
