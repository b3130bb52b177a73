// Whose counter: the values found at a limit's key, in its order. Types count: 5 is not "5". Pure.
#pragma once

#include <string>

#include "google/protobuf/repeated_ptr_field.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

using Identifier = google::protobuf::RepeatedPtrField<v1::Scalar>;

// As records, tables and messages show it: a string as it is, a whole number without a fraction.
std::string IdentifierText(const v1::Scalar& value);
// One value as itself, a combination as a JSON array of its values.
std::string IdentifierText(const Identifier& identifier);

bool SameIdentifier(const Identifier& a, const Identifier& b);  // value by value, with their types

}  // namespace signalbox
