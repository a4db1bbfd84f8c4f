// Gives a component its section of a configuration that is valid by its schema.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/json/json.hpp"

namespace notp::config {

// A view; the document outlives it. Paths are names joined by dots, as in "tls.key". Fields that
// the schema requires or gives a default may be read directly: absence or another type is a bug
// (asserted).
class Section {
 public:
  explicit Section(const json::value& value) : value_(&value) {}

  bool has(std::string_view path) const;
  std::string text(std::string_view path) const;
  int64_t integer(std::string_view path) const;
  size_t size(std::string_view path) const { return static_cast<size_t>(integer(path)); }
  bool flag(std::string_view path) const;

  // For optional fields: "" and no elements.
  std::string text_or_empty(std::string_view path) const;
  std::vector<std::string> texts(std::string_view path) const;
  const json::array& elements(std::string_view path) const;
  // Names and texts of an object whose members are all texts.
  std::vector<std::pair<std::string, std::string>> members(std::string_view path) const;
  // The same for objects.
  std::vector<Section> sections(std::string_view path) const;

  Section section(std::string_view path) const;
  // Names of the fields of this section, which is an object.
  std::vector<std::string> names() const;

 private:
  const json::value* value_;
};

}  // namespace notp::config
