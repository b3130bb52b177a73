// Early return on error, as in the Abseil versions that have it (this one, 20220623, does not).
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SB_CONCAT_INNER(a, b) a##b
#define SB_CONCAT(a, b) SB_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expr)                                               \
  do {                                                                      \
    if (absl::Status sb_status = (expr); !sb_status.ok()) return sb_status; \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_INNER(SB_CONCAT(sb_statusor_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                           \
  if (!tmp.ok()) return tmp.status();          \
  lhs = *std::move(tmp)

// The same in a coroutine.
#define CO_RETURN_IF_ERROR(expr)                                               \
  do {                                                                         \
    if (absl::Status sb_status = (expr); !sb_status.ok()) co_return sb_status; \
  } while (false)
