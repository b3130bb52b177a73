// Values that satisfy a JSON schema, as far as tools and structured output need: the same for the same schema and
// prompt, whichever dialect of schema a format speaks. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/simprovider/read_json.h"

namespace signalbox::sim {

// FNV-1a: the same on every machine, unlike std::hash.
uint64_t HashOf(std::string_view text, uint64_t hash = 14695981039346656037ULL);

// A value for what is called `name`. Knows $ref, const, enum, anyOf, oneOf, allOf, objects, arrays, formats and bounds.
OrderedJson ExampleOf(const Json& schema, const std::string& name, const std::string& prompt);

// The bytes of a schema that count as input: the names and descriptions of what it asks for, which every dialect has.
size_t SchemaBytes(const Json& schema);

}  // namespace signalbox::sim
