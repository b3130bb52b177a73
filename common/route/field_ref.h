// Names of request fields as routes write them: metadata.<key>, body.<a>.<b>, headers.<name>. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

struct FieldRefFault {
  std::string code;  // unknown_field_root, invalid_field
  std::string message;
};

// False and `fault` filled when `text` names no field. A metadata key is everything after the first dot (metadata is
// flat), a body path splits at dots, a header name is lowered.
bool ParseFieldRef(std::string_view text, v1::FieldRef& field, FieldRefFault& fault);

// Empty when `field` is well-formed, else what is wrong with it.
std::string FieldRefProblem(const v1::FieldRef& field);

std::string FieldRefText(const v1::FieldRef& field);

}  // namespace signalbox
