// Every bound of the system by name, units last. docs/errors.md says what a client sees past each.
#pragma once

#include <cstddef>
#include <cstdint>

namespace signalbox {

// Version of the compiled snapshot format this build reads and writes (proto/signalbox/v1/compiled.proto).
inline constexpr int kSchema = 3;

// Routes.
inline constexpr size_t kRouteJsonBytesMax = 1 << 20;
inline constexpr int kElementsMax = 256;
inline constexpr int kRouteDepthMax = 64;
inline constexpr int kConditionDepthMax = 16;
inline constexpr int kRouteJsonDepthMax = 64;  // nesting of the authored JSON
inline constexpr int kRouteFaultsMax = 1'000;  // reported at once
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
inline constexpr size_t kUniversalEntriesMax = 16;     // calls that one universal request may try
inline constexpr size_t kMetadataBytesMax = 64 << 10;  // keys and text together; it goes into every spend record
inline constexpr int kRequestHeaderTimeoutMs = 10'000;
inline constexpr int kRequestBodyTimeoutMs = 60'000;
inline constexpr int kIdleConnectionTimeoutMs = 75'000;
inline constexpr int kWriteStallTimeoutMs = 30'000;  // a client that takes no byte for so long is gone
inline constexpr int kLingerTimeoutMs = 5'000;       // after the last answer, so that the client can read it
inline constexpr size_t kLingerBytesMax = 64 << 20;  // discarded meanwhile
inline constexpr int kConnectTimeoutMs = 5'000;
inline constexpr int kUpstreamIdleTimeoutMs = 30'000;  // below what providers keep an idle connection for
inline constexpr size_t kUpstreamIdlePerHostMax = 256;
inline constexpr int kDrainTimeoutMs = 30'000;
inline constexpr int kShutdownFlushTimeoutMs = 5'000;
inline constexpr int kStreamIdleTimeoutMs = 300'000;  // a provider silent for so long mid-answer is cut
inline constexpr int kStreamTailTimeoutMs = 100;      // after [DONE]: for the end of the response, else not reused
inline constexpr int kErrorBodyTimeoutMs = 5'000;     // to read why a provider refused
inline constexpr size_t kErrorBodyBytesMax = 1 << 20;
inline constexpr int kRetryDelayMs = 100;  // before the first retry
inline constexpr int kRetryDelayMsMax = 5'000;
inline constexpr int kConnectionsMaxPerWorker = 8'000;

// Failures of providers. docs/failures.md tells how they work together.
inline constexpr int kRequestTimeoutMs = 600'000;           // of a request until its answer began (unary: is whole)
inline constexpr int kStreamDurationMsMax = 3'600'000;      // of a streamed answer, from its first byte
inline constexpr int kRequestRetriesMax = 10;               // of one request over its whole walk
inline constexpr int kRequestAttemptsMax = 24;              // the same, every model's first attempt counted
inline constexpr int64_t kRetryAfterWaitUsMax = 3'000'000;  // told to wait longer, a request goes on to its fallback
inline constexpr int64_t kRestUsMax = 300'000'000;          // the longest retry-after that keeps other requests away
inline constexpr int64_t kTimeoutBlameUs = 5'000'000;       // a shorter time limit of a request's own blames nobody
inline constexpr int64_t kHealthWindowUs = 30'000'000;      // failure shares are taken over so long
inline constexpr int kHealthWindowCallsMin = 20;            // below so many calls a share means nothing
inline constexpr int kHealthFailurePercent = 60;            // at that share, or
inline constexpr int kBreakerConsecutiveFailures = 10;      // after so many in a row, a model's breaker opens
inline constexpr int kEjectionConsecutiveFailures = 5;      // after so many, of any model, an endpoint is ejected
inline constexpr int64_t kBreakerOpenUsMin = 2'000'000;     // doubles each time it opens again
inline constexpr int64_t kBreakerOpenUsMax = 60'000'000;
inline constexpr int64_t kBreakerCalmUs = 60'000'000;   // closed for so long, the next opening is a first one
inline constexpr int64_t kBreakerProbeUs = 30'000'000;  // a probe without result for so long makes room for another
inline constexpr int64_t kRetryBudgetWindowUs = 10'000'000;
inline constexpr int kRetryBudgetPercent = 20;  // retries of a provider per window: so many percent of its calls,
inline constexpr int kRetryBudgetFloor = 50;    // and so many in any case
inline constexpr size_t kHealthModelsPerEndpointMax = 256;  // the least recently called is forgotten
inline constexpr size_t kModelsCountedMax = 1'000;          // with metrics of their own
inline constexpr size_t kHealthStatusesMax = 2'000;         // in one report
inline constexpr int kHealthCheckFailures = 2;              // active checks in a row until an endpoint is down
inline constexpr int kHealthCheckTimeoutMs = 5'000;
inline constexpr int kHealthCheckIntervalSMax = 3'600;
inline constexpr int kProviderEndpointsMax = 32;
inline constexpr int kEndpointWeightMax = 1'000;
static_assert(kBreakerProbeUs <= kBreakerOpenUsMax && kBreakerOpenUsMin < kBreakerOpenUsMax, "probes come back");

// Money and limits. Money is int64 nano-dollars everywhere.
inline constexpr int64_t kNanosPerDollar = 1'000'000'000;
inline constexpr int64_t kTokensPerPriceUnit = 1'000'000;
inline constexpr int64_t kLimitNanosMax = 1'000'000'000LL * kNanosPerDollar;
inline constexpr int64_t kMinimumOutputTokens = 256;    // a hold's least output
inline constexpr int64_t kCapShareOfLimit = 16;         // without a client's cap a hold takes at most limit / 16
inline constexpr int64_t kToolPromptTokensMax = 1'024;  // what a provider says itself before a request's tools
inline constexpr size_t kIdentifierBytesMax = 1024;
inline constexpr int kLimitKeyFieldsMax = 8;  // fields a limit's key may combine
inline constexpr int64_t kLimitTokensMax = 1'000'000'000'000'000;
inline constexpr int64_t kUnknownOutputTokensMax = 1 << 20;  // of a model whose price names no maximum

// Quota sessions.
inline constexpr int64_t kQuotaBatchPaceUs = 250;
inline constexpr int kQuotaBatchCommandsMax = 1'000;
inline constexpr int64_t kQuotaCallTimeoutUs = 1'000'000;
inline constexpr int64_t kHeartbeatUs = 5'000'000;
inline constexpr int64_t kSuspendAfterUs = 60'000'000;
inline constexpr int64_t kBelievedClockJumpUs = 3'600'000'000;
static_assert(kSuspendAfterUs >= 4 * kHeartbeatUs, "a few lost heartbeats must not suspend");
inline constexpr int kQuotaChecksMax = 64;                  // limits in one acquire
inline constexpr int kQuotaBoundsMax = 256;                 // reachable models in one acquire
inline constexpr size_t kQuotaIdBytesMax = 256;             // proxy, boot and request ids
inline constexpr size_t kQuotaAnswersMaxPerBoot = 100'000;  // answers kept until acknowledged; past it INVALID
inline constexpr size_t kQuotaUnansweredMax = 10'000;       // sent by a proxy and not answered; the rest waits there
inline constexpr int kQuotaSessionMessagesMax = 64;         // of one session read and not yet committed
inline constexpr size_t kQuotaBatchMessagesMax = 1'024;     // of all sessions in one transaction
inline constexpr int64_t kQuotaTickUs = 1'000'000;
inline constexpr int64_t kQuotaBootRetentionUs = 7LL * 86'400 * 1'000'000;      // of silence, then a boot is forgotten
inline constexpr int64_t kQuotaSuspenseRetentionUs = 7LL * 86'400 * 1'000'000;  // after suspension and window turn
inline constexpr size_t kQuotaSuspenseRecordsMax = 100'000;  // past it the oldest stay charged and leave the list
inline constexpr size_t kQuotaAdjustmentsMax = 10'000;       // past it the oldest leave the list
inline constexpr size_t kQuotaReasonBytesMax = 1'024;        // who and why of an adjustment, each
inline constexpr int64_t kQuotaLogBytesBeforeCompaction = 16 << 20;
inline constexpr int kQuotaReconnectMsMin = 20;
inline constexpr int kQuotaReconnectMsMax = 1'000;
static_assert(kQuotaAnswersMaxPerBoot >= 2 * kQuotaUnansweredMax, "an honest proxy never meets the bound");

// Snapshots.
inline constexpr size_t kOfferChunkBytesMax = 1 << 20;
inline constexpr size_t kBlobBytesMax = 16 << 20;
inline constexpr int64_t kDebounceUs = 20'000;
inline constexpr int64_t kStatusUs = 15'000'000;
inline constexpr int64_t kStatusChangeUs = 1'000'000;  // sooner, when a provider's health changed
inline constexpr int kShrinkGuardRoutesMin = 10;       // from so many routes on, losing over half needs force

// Spend.
inline constexpr size_t kLoggedPayloadBytesMax = 64 << 10;  // of a request's body, and of an answer's, in its record
inline constexpr int64_t kSpoolBytesMax = 1LL << 30;
inline constexpr size_t kSpendBatchRecordsMax = 500;

// Cached answers.
inline constexpr int64_t kCacheBytesDefault = 256LL << 20;  // of one proxy, in memory
inline constexpr int64_t kCacheTtlSecondsMax = 30LL * 86'400;
inline constexpr size_t kCachedAnswerBytesMax = 4 << 20;       // a larger answer is not kept
inline constexpr size_t kCachedAnswerOverheadBytes = 512;      // what an entry takes besides its bytes, about
inline constexpr int kCacheShardsMax = 16;                     // each with a lock and a share of the bytes
inline constexpr int kCacheWaitMsMax = 30'000;                 // for an identical request in flight
inline constexpr size_t kCacheFollowersMax = 1'000;            // of one request in flight; one more goes alone
inline constexpr int kSharedCacheTimeoutMs = 100;              // a Redis that takes longer has no answer
inline constexpr int kSharedCacheRetryMs = 1'000;              // after Redis failed it is left alone for so long
inline constexpr size_t kSharedCacheQueueMax = 1'000;          // commands that wait for it; one more is not asked
inline constexpr size_t kSharedCacheQueueBytesMax = 64 << 20;  // of answers among them
inline constexpr size_t kSharedCacheBatchMax = 64;             // commands sent at once
inline constexpr size_t kSharedCacheBatchBytesMax = 8 << 20;
static_assert(kCachedAnswerBytesMax <= kSharedCacheBatchBytesMax, "every answer fits a batch");

// The console and its sessions.
inline constexpr size_t kConsoleBytesMax = 16 << 20;                 // of its files, held in memory
inline constexpr size_t kSessionsMax = 10'000;                       // past it the one used longest ago ends
inline constexpr size_t kSessionsPerTokenMax = 100;                  // the same, of one token
inline constexpr int64_t kSessionIdleUs = 12LL * 3'600 * 1'000'000;  // not used for so long, a session ends,
inline constexpr int64_t kSessionUsMax = 7LL * 86'400 * 1'000'000;   // and so long after its start in any case
inline constexpr int64_t kAuditEntriesMax = 100'000;                 // past it the oldest are deleted
inline constexpr int kLiveRunsMax = 24;                              // under way at once; one more is refused
inline constexpr int kLiveRunMsMax = 600'000;                        // of one, until it is cut
inline constexpr int kLiveKeyWaitMs = 10'000;                        // for a proxy to take the key of live runs
static_assert(kSessionIdleUs < kSessionUsMax && kSessionsPerTokenMax < kSessionsMax, "both bounds can be met");

// Pages.
inline constexpr int kPageSizeDefault = 100;
inline constexpr int kPageSizeMax = 1'000;

}  // namespace signalbox
