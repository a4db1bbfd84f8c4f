#include "common/config_section.hpp"

#include "common/assert.hpp"
#include "common/config.hpp"

namespace notp::config {

bool Section::has(std::string_view path) const { return config_find(*value_, path) != nullptr; }

std::string Section::text(std::string_view path) const { return config_text(*value_, path); }

int64_t Section::integer(std::string_view path) const { return config_integer(*value_, path); }

bool Section::flag(std::string_view path) const {
  const json::value* const value = config_find(*value_, path);
  NOTP_ASSERT(value && value->is_bool(), "a configuration field that the schema does not promise");
  return value->get_bool();
}

std::string Section::text_or_empty(std::string_view path) const {
  return has(path) ? text(path) : std::string();
}

std::vector<std::string> Section::texts(std::string_view path) const {
  std::vector<std::string> out;
  for (const json::value& element : elements(path)) {
    NOTP_ASSERT(element.is_string(), "a configuration field that the schema does not promise");
    out.emplace_back(element.get_string());
  }
  return out;
}

const json::array& Section::elements(std::string_view path) const {
  static const json::array kNone;
  const json::value* const value = config_find(*value_, path);
  if (value == nullptr) return kNone;
  NOTP_ASSERT(value->is_array(), "a configuration field that the schema does not promise");
  return value->get_array();
}

std::vector<std::pair<std::string, std::string>> Section::members(std::string_view path) const {
  std::vector<std::pair<std::string, std::string>> out;
  const json::value* const value = config_find(*value_, path);
  if (value == nullptr) return out;
  NOTP_ASSERT(value->is_object(), "a configuration field that the schema does not promise");
  for (const auto& [name, member] : value->get_object()) {
    NOTP_ASSERT(member.is_string(), "a configuration field that the schema does not promise");
    out.emplace_back(name, member.get_string());
  }
  return out;
}

std::vector<Section> Section::sections(std::string_view path) const {
  std::vector<Section> out;
  for (const json::value& element : elements(path)) out.emplace_back(element);
  return out;
}

Section Section::section(std::string_view path) const {
  const json::value* const value = config_find(*value_, path);
  NOTP_ASSERT(value && value->is_object(),
              "a configuration section that the schema does not promise");
  return Section(*value);
}

std::vector<std::string> Section::names() const {
  NOTP_ASSERT(value_->is_object(), "a section of a configuration that is not an object");
  std::vector<std::string> out;
  for (const auto& member : value_->get_object()) out.emplace_back(member.key());
  return out;
}

}  // namespace notp::config
