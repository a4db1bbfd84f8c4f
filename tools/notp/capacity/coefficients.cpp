#include "tools/notp/capacity/coefficients.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "tools/notp/capacity/embedded.hpp"

namespace notp::cli {
namespace {

Result<std::string> text_of(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  if (value == nullptr || !value->is_string())
    return fail(ErrorCode::kInternal, fmt::format("a coefficient has no text '{}'", key));
  return std::string(value->get_string());
}

Result<double> number_of(const json::object& row, const std::string& name) {
  const json::value* value = row.if_contains("value");
  boost::system::error_code error;
  const double number = value == nullptr ? -1 : value->to_number<double>(error);
  if (error || number <= 0)
    return fail(ErrorCode::kInternal, fmt::format("the coefficient {} has no value above 0", name));
  return number;
}

}  // namespace

Result<Coefficients> Coefficients::parse(std::string_view text) {
  NOTP_ASSIGN(const json::value document, parse_json(text));
  const json::object* root = document.if_object();
  const json::value* rows = root == nullptr ? nullptr : root->if_contains("coefficients");
  if (rows == nullptr || !rows->is_array())
    return fail(ErrorCode::kInternal, "the file of coefficients has no array 'coefficients'");
  Coefficients out;
  for (const json::value& row : rows->get_array()) {
    if (!row.is_object()) return fail(ErrorCode::kInternal, "a coefficient is no object");
    const json::object& members = row.get_object();
    NOTP_ASSIGN(const std::string name, text_of(members, "name"));
    Coefficient one;
    NOTP_ASSIGN(one.value, number_of(members, name));
    NOTP_ASSIGN(one.unit, text_of(members, "unit"));
    NOTP_ASSIGN(one.of, text_of(members, "of"));
    NOTP_ASSIGN(one.measured, text_of(members, "measured"));
    if (!out.all_.emplace(name, std::move(one)).second)
      return fail(ErrorCode::kInternal, fmt::format("the coefficient {} is there twice", name));
  }
  for (const std::string_view name : kNames)
    if (!out.all_.contains(name))
      return fail(ErrorCode::kInternal, fmt::format("the coefficient {} is missing", name));
  return out;
}

void Coefficients::set(std::string_view name, double value, std::string measured) {
  Coefficient& one = all_.find(name)->second;
  one.value = value;
  one.measured = std::move(measured);
}

std::string Coefficients::text() const {
  std::string out;
  for (const std::string_view name : kNames) {
    const Coefficient& one = all_.find(name)->second;
    out += fmt::format(
        "{}    {{\"name\": {}, \"value\": {}, \"unit\": {}, \"of\": {},\n     \"measured\": {}}}",
        out.empty() ? "" : ",\n", json_string(name), one.value, json_string(one.unit),
        json_string(one.of), json_string(one.measured));
  }
  return "{\n  \"coefficients\": [\n" + out + "\n  ]\n}\n";
}

Result<Coefficients> Coefficients::built_in() { return parse(kCapacityCoefficients); }

}  // namespace notp::cli
