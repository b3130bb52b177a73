// google.protobuf.Struct as compact JSON: keys ordered, whole numbers without a fraction. Pure; any thread.
#pragma once

#include <string>

#include "google/protobuf/struct.pb.h"

namespace signalbox {

std::string StructJson(const google::protobuf::Struct& object);
std::string ValueJson(const google::protobuf::Value& value);
std::string JsonString(const std::string& text);  // quoted and escaped
std::string JsonNumber(double number);            // finite

}  // namespace signalbox
