#include "protocol/record/json_comparison.hpp"

#include <map>
#include <optional>

#include "common/json/json.hpp"
#include "common/json/json_members.hpp"
#include "common/limits.hpp"

namespace notp::record {
namespace {

// What a string or a name says: `quoted` has its quotation marks.
std::string text_of(ByteView quoted) {
  if (!quoted.contains('\\')) return std::string(quoted);
  const auto value = parse_json(quoted);
  return value && value->is_string() ? json_string(value->get_string()) : std::string(quoted);
}

using Members = std::map<std::string, ByteView, std::less<>>;  // by the name in quotation marks

Members by_name(const std::vector<JsonMember>& members) {
  Members found;
  for (const JsonMember& each : members) {
    std::string quoted = "\"";
    found.insert_or_assign(text_of(quoted.append(each.name).append("\"")), each.value);
  }
  return found;
}

class Comparison {
 public:
  Comparison(const JsonOutline& left, const JsonOutline& right, const UncomparedValues& uncompared,
             std::string_view prefix)
      : left_(left), right_(right), uncompared_(uncompared), pointer_(prefix) {}

  bool is_same(ByteView left, ByteView right, size_t depth) {
    if (left == right) return true;
    if (left.empty() || right.empty() || left.front() != right.front()) return false;
    switch (left.front()) {
      case '{':
        return depth < limits::kJsonDepthMax && is_same_object(left, right, depth);
      case '[':
        return depth < limits::kJsonDepthMax && is_same_array(left, right, depth);
      case '"':
        return text_of(left) == text_of(right);
      default:
        return false;
    }
  }

 private:
  bool is_replaced() const { return uncompared_.replaced.contains(pointer_); }
  bool is_removed() const { return uncompared_.removed.contains(pointer_); }

  // Adds a step to the pointer for the time of a call.
  template <typename Call>
  bool at(std::string_view token, Call call) {
    const size_t mark = pointer_.size();
    pointer_.push_back('/');
    for (const char byte : token) {
      if (byte == '~' || byte == '/')
        pointer_ += byte == '~' ? "~0" : "~1";
      else
        pointer_.push_back(byte);
    }
    const bool result = call();
    pointer_.resize(mark);
    return result;
  }
  static std::string name_in(const std::string& quoted) {
    const auto value = parse_json(quoted);
    return value && value->is_string() ? std::string(value->get_string()) : quoted;
  }

  bool is_same_object(ByteView left, ByteView right, size_t depth) {
    const auto ours = left_.members(left);
    const auto theirs = right_.members(right);
    if (!ours || !theirs) return false;
    const Members in_left = by_name(*ours), in_right = by_name(*theirs);
    for (const auto& [name, value] : in_left)
      if (!in_right.contains(name) && !at(name_in(name), [&] { return is_replaced(); }))
        return false;
    for (const auto& [name, value] : in_right) {
      const auto found = in_left.find(name);
      const bool same = at(name_in(name), [&] {
        if (is_replaced() || is_removed()) return true;
        return found != in_left.end() && is_same(found->second, value, depth + 1);
      });
      if (!same) return false;
    }
    return true;
  }

  bool is_same_array(ByteView left, ByteView right, size_t depth) {
    const auto ours = left_.elements(left);
    const auto theirs = right_.elements(right);
    if (!ours || !theirs) return false;
    size_t next = 0;  // of ours
    for (size_t i = 0; i < theirs->size(); ++i) {
      const bool same = at(std::to_string(i), [&] {
        if (is_removed()) return true;
        if (next == ours->size()) return false;
        const ByteView value = (*ours)[next++];
        return is_replaced() || is_same(value, (*theirs)[i], depth + 1);
      });
      if (!same) return false;
    }
    return next == ours->size();
  }

  const JsonOutline& left_;
  const JsonOutline& right_;
  const UncomparedValues& uncompared_;
  std::string pointer_;
};

}  // namespace

bool is_same_json(ByteView left, ByteView right, const UncomparedValues& uncompared,
                  std::string_view prefix) {
  if (left == right) return true;
  const auto ours = JsonOutline::find(left), theirs = JsonOutline::find(right);
  if (!ours || !theirs) return false;
  return Comparison(*ours, *theirs, uncompared, prefix).is_same(left, right, 0);
}

}  // namespace notp::record
