// Building objects of many members. Assigning by name searches an ordered object from the front each time: what a peer
// may send a million of must not go that way. Pure; one thread's.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>

#include "dataplane/translate/chat_json.h"

namespace signalbox {

// Adds a member whose name `object` does not have.
inline void AddMember(Json& object, std::string name, Json value) {
  object.get_ref<Json::object_t&>().emplace_back(std::move(name), std::move(value));
}

// Sets members of an object by an index. While it is in use nobody else gives the object members of these names.
class MemberSetter {
 public:
  // `object` outlives the setter; null becomes an empty object.
  explicit MemberSetter(Json& object) : object_(object) {
    if (object_.is_null()) object_ = Json::object();
    size_t at = 0;
    for (const auto& [name, value] : object_.get_ref<const Json::object_t&>()) places_.emplace(name, at++);
  }
  bool Has(const std::string& name) const { return places_.contains(name); }
  void Set(const std::string& name, const Json& value) {
    auto& members = object_.get_ref<Json::object_t&>();
    const auto [place, added] = places_.emplace(name, members.size());
    if (added) {
      members.emplace_back(name, value);
    } else {
      (members.begin() + static_cast<ptrdiff_t>(place->second))->second = value;
    }
  }

 private:
  Json& object_;
  std::unordered_map<std::string, size_t> places_;
};

}  // namespace signalbox
