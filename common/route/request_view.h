// What the walker may know of a request. Stage: routing, after the body was parsed and before anything is called.
// A `RequestView` is read-only, used by one thread, and outlives the walk; strings are views into it.
#pragma once

#include <string_view>
#include <vector>

#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

// A JSON value by view. Types compare strictly, as in Mongo: number 5 is not "5".
struct FieldValue {
  enum class Kind { kMissing, kNull, kBool, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kMissing;
  bool boolean = false;
  double number = 0;
  std::string_view text;          // kString
  std::vector<FieldValue> items;  // kArray: one level, for $in and $contains; objects inside are opaque
};

class RequestView {
 public:
  virtual ~RequestView() = default;
  // kMissing when the field is absent. Header names arrive lower case.
  virtual FieldValue Get(const v1::FieldRef& field) const = 0;
};

}  // namespace signalbox
