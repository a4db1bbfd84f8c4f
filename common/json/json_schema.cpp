#include "common/json/json_schema.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/regex.hpp>
#include <cmath>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_visitor.hpp>
#include <vector>

#include "common/json/json.hpp"
#include "common/limits.hpp"

namespace notp {
namespace {

using valijson::Subschema;
using valijson::adapters::BoostJsonAdapter;
using JsonType = valijson::constraints::TypeConstraint::JsonType;

constexpr size_t kShownBytesMax = 80;  // of a value in a message

std::string_view kind_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::object:
      return "an object";
    case json::kind::array:
      return "an array";
    default:
      return "a value";
  }
}

// Formats a value for a message: objects and arrays only by their kind.
std::string shown(const json::value& value) {
  if (value.is_structured()) return std::string(kind_of(value));
  if (value.is_string())
    return fmt::format("\"{}\"", printable(value.get_string(), kShownBytesMax));
  return json::serialize(value);
}

std::string_view name_of(JsonType type) {
  using Type = valijson::constraints::TypeConstraint;
  switch (type) {
    case Type::kAny:
      return "any value";
    case Type::kArray:
      return "an array";
    case Type::kBoolean:
      return "true or false";
    case Type::kInteger:
      return "an integer";
    case Type::kNull:
      return "null";
    case Type::kNumber:
      return "a number";
    case Type::kObject:
      return "an object";
    case Type::kString:
      return "a string";
  }
  return "a value";
}

// JSON Schema treats 8.0 as an integer.
bool is_integral(const json::value& value) {
  return value.is_int64() || value.is_uint64() ||
         (value.is_double() && std::trunc(value.get_double()) == value.get_double());
}

bool has_type(const json::value& value, JsonType type) {
  using Type = valijson::constraints::TypeConstraint;
  switch (type) {
    case Type::kAny:
      return true;
    case Type::kArray:
      return value.is_array();
    case Type::kBoolean:
      return value.is_bool();
    case Type::kInteger:
      return is_integral(value);
    case Type::kNull:
      return value.is_null();
    case Type::kNumber:
      return value.is_number();
    case Type::kObject:
      return value.is_object();
    case Type::kString:
      return value.is_string();
  }
  return false;
}

// Writes one text for all values that JSON Schema considers equal: members in the order of their
// names, and integers without a fraction.
void write_canonical(const json::value& value, std::string& out) {
  if (value.is_object()) {
    std::map<std::string_view, const json::value*> members;
    for (const auto& [name, member] : value.get_object()) members.emplace(name, &member);
    out += '{';
    for (const auto& [name, member] : members) {
      out.append(json::serialize(json::string_view(name))) += ':';
      write_canonical(*member, out);
      out += ',';
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    for (const json::value& element : value.get_array()) {
      write_canonical(element, out);
      out += ',';
    }
    out += ']';
  } else if (value.is_double() && is_integral(value)) {
    fmt::format_to(std::back_inserter(out), "{:.0f}", value.get_double());
  } else {
    out.append(json::serialize(value));
  }
}

std::string canonical(const json::value& value) {
  std::string out;
  write_canonical(value, out);
  return out;
}

std::string escaped(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

// State of one validation: the findings, and expressions compiled once.
struct Report {
  const json::value& root_schema;
  std::vector<std::string> lines;
  bool endless = false;  // the schema refers to itself
  std::unordered_map<std::string, boost::regex> expressions;
  std::unordered_map<std::string, std::regex> library_expressions;

  bool full() const { return lines.size() >= limits::kFindingsMax || endless; }
};

// Supports the ECMA 262 syntax that schemas use. Boost's matcher, unlike std::regex, neither
// recurses with the text nor runs without bound; a text that it gives up on does not match. Throws
// when the pattern is not an expression.
bool matches(Report& report, const std::string& pattern, std::string_view text) {
  auto found = report.expressions.find(pattern);
  if (found == report.expressions.end())
    found = report.expressions.emplace(pattern, boost::regex(pattern)).first;
  try {
    return boost::regex_search(
        text.begin(), text.end(), found->second,
        boost::regex_constants::match_single_line | boost::regex_constants::match_not_dot_newline);
  } catch (const std::runtime_error&) {
    return false;
  }
}

// Validates one value against one schema. Without `reporting`, it only returns the result and adds
// no findings, as under "if" and "anyOf".
class ValueValidator final : public valijson::constraints::ConstraintVisitor {
 public:
  // schema: the text of the schema, for messages; null when it is not known. subject: the beginning
  // of a message.
  ValueValidator(Report& report, const json::value& value, std::string pointer,
                 const json::value* schema, bool reporting, size_t depth, std::string subject = {})
      : report_(report),
        value_(value),
        pointer_(std::move(pointer)),
        schema_(resolved(schema)),
        reporting_(reporting),
        depth_(depth),
        subject_(std::move(subject)) {}

  bool holds(const Subschema& schema) {
    if (depth_ > kDepthMax) report_.endless = true;
    if (report_.full()) return false;
    if (schema.getAlwaysInvalid()) return refuse("is not allowed here");
    Subschema::ApplyFunction each = [this](const valijson::constraints::Constraint& constraint) {
      return !report_.full() && constraint.accept(*this);
    };
    return reporting_ ? schema.apply(each) : schema.applyStrict(each);
  }

 protected:
  bool visit(const AllOfConstraint& constraint) override {
    bool all = true;
    constraint.applyToSubschemas([&](unsigned index, const Subschema* schema) {
      all &= same(element("allOf", index), reporting_).holds(*schema);
      return true;
    });
    return all;
  }
  bool visit(const AnyOfConstraint& constraint) override {
    return alternatives(constraint) > 0 || refuse("fits none of the forms that are allowed");
  }
  bool visit(const OneOfConstraint& constraint) override {
    return alternatives(constraint) == 1 ||
           refuse("does not fit exactly one of the forms that are allowed");
  }
  bool visit(const NotConstraint& constraint) override {
    return !same(nullptr, false).holds(*constraint.getSubschema()) ||
           refuse("has a form that is not allowed");
  }
  bool visit(const ConditionalConstraint& constraint) override {
    const bool condition = same(nullptr, false).holds(*constraint.getIfSubschema());
    const Subschema* const then =
        condition ? constraint.getThenSubschema() : constraint.getElseSubschema();
    return !then || same(keyword(condition ? "then" : "else"), reporting_).holds(*then);
  }
  bool visit(const ConstConstraint& constraint) override {
    return library(constraint) || refuse(fmt::format("is not {}", allowed("const")));
  }
  bool visit(const EnumConstraint& constraint) override {
    return library(constraint) || refuse(fmt::format("is not one of {}", allowed("enum")));
  }
  bool visit(const TypeConstraint& constraint) override {
    bool any = false;
    std::vector<std::string_view> names;
    constraint.applyToNamedTypes([&](JsonType type) {
      any |= has_type(value_, type);
      names.push_back(name_of(type));
      return true;
    });
    return any || refuse(fmt::format("is not {}", fmt::join(names, " or ")));
  }

  bool visit(const RequiredConstraint& constraint) override {
    if (!value_.is_object()) return true;
    bool all = true;
    constraint.applyToRequiredProperties([&](const auto& name) {
      if (!value_.get_object().contains(name.c_str()))
        all = say(fmt::format("\"{}\" is required", printable(name.c_str())));
      return true;
    });
    return all;
  }
  bool visit(const PropertiesConstraint& constraint) override;
  bool visit(const PropertyNamesConstraint& constraint) override {
    if (!value_.is_object()) return true;
    bool all = true;
    for (const auto& [name, member] : value_.get_object()) {
      const json::value text(name);
      ValueValidator validator(report_, text, pointer_, keyword("propertyNames"), reporting_,
                               depth_ + 1, "the name ");
      all &= validator.holds(*constraint.getSubschema());
    }
    return all;
  }
  bool visit(const SingularItemsConstraint& constraint) override {
    if (!value_.is_array() || !constraint.getItemsSubschema()) return true;
    bool all = true;
    for (size_t i = 0; i < value_.get_array().size() && !report_.full(); ++i)
      all &= below(value_.get_array()[i], std::to_string(i), keyword("items"))
                 .holds(*constraint.getItemsSubschema());
    return all;
  }
  bool visit(const UniqueItemsConstraint&) override {
    if (!value_.is_array()) return true;
    std::unordered_map<std::string, size_t> seen;
    bool all = true;
    for (size_t i = 0; i < value_.get_array().size() && !report_.full(); ++i) {
      const auto [first, inserted] = seen.emplace(canonical(value_.get_array()[i]), i);
      if (!inserted)
        all = say(fmt::format("elements {} and {} are equal: {}", first->second, i,
                              shown(value_.get_array()[i])));
    }
    return all;
  }
  bool visit(const ContainsConstraint& constraint) override {
    if (!value_.is_array()) return true;
    for (const json::value& element : value_.get_array())
      if (ValueValidator(report_, element, {}, nullptr, false, depth_ + 1)
              .holds(*constraint.getSubschema()))
        return true;
    return refuse("has no element of the form that one must have");
  }

  bool visit(const PatternConstraint& constraint) override {
    if (!value_.is_string()) return true;
    const std::string pattern = constraint.getPattern<std::allocator<char>>();
    return matches(report_, pattern, value_.get_string()) ||
           refuse(fmt::format("does not match {}", pattern));
  }

  bool visit(const MinLengthConstraint& c) override {
    return bound(c, "has fewer characters than {}", c.getMinLength());
  }
  bool visit(const MaxLengthConstraint& c) override {
    return bound(c, "has more characters than {}", c.getMaxLength());
  }
  bool visit(const MinItemsConstraint& c) override {
    return bound(c, "has fewer elements than {}", c.getMinItems());
  }
  bool visit(const MaxItemsConstraint& c) override {
    return bound(c, "has more elements than {}", c.getMaxItems());
  }
  bool visit(const MinPropertiesConstraint& c) override {
    return bound(c, "has fewer members than {}", c.getMinProperties());
  }
  bool visit(const MaxPropertiesConstraint& c) override {
    return bound(c, "has more members than {}", c.getMaxProperties());
  }
  bool visit(const MinimumConstraint& c) override {
    return bound(c, c.getExclusiveMinimum() ? "is not above {}" : "is below the minimum of {}",
                 c.getMinimum());
  }
  bool visit(const MaximumConstraint& c) override {
    return bound(c, c.getExclusiveMaximum() ? "is not below {}" : "is above the maximum of {}",
                 c.getMaximum());
  }
  bool visit(const MultipleOfIntConstraint& c) override {
    return bound(c, "is not a multiple of {}", c.getDivisor());
  }
  bool visit(const MultipleOfDoubleConstraint& c) override {
    return bound(c, "is not a multiple of {}", c.getDivisor());
  }
  bool visit(const FormatConstraint& c) override {
    return bound(c, "is not of the format {}", c.getFormat());
  }
  bool visit(const DependenciesConstraint& constraint) override {
    return library(constraint) || refuse("lacks a member that another one asks for");
  }
  bool visit(const LinearItemsConstraint& constraint) override {
    return library(constraint) || refuse("has elements that are not allowed at their places");
  }
  bool visit(const PolyConstraint&) override { return true; }  // none is registered

 private:
  // Far above the depth of any document that parse_json() accepts times that of a schema.
  static constexpr size_t kDepthMax = 500;

  bool refuse(std::string_view what) {
    return say(fmt::format("{}{} {}", subject_, shown(value_), what));
  }
  bool say(std::string_view line) {
    if (reporting_ && !report_.full())
      report_.lines.push_back(fmt::format("{}: {}", pointer_.empty() ? "(root)" : pointer_, line));
    return false;
  }

  // The library's result, for constraints without a specific message. It throws on integers above
  // the signed ones, which cannot equal any value of a schema.
  template <typename Constraint>
  bool library(const Constraint& constraint) {
    const json::value large(value_.is_uint64() ? static_cast<double>(value_.get_uint64()) : 0.0);
    try {
      const BoostJsonAdapter adapter(value_.is_uint64() ? large : value_);
      valijson::ValidationVisitor<BoostJsonAdapter> visitor(adapter, {}, true, nullptr,
                                                            report_.library_expressions);
      return constraint.accept(visitor);
    } catch (const std::exception&) {
      return false;
    }
  }
  template <typename Constraint, typename Bound>
  bool bound(const Constraint& constraint, std::string_view words, const Bound& value) {
    return library(constraint) || refuse(fmt::format(fmt::runtime(words), value));
  }
  template <typename Constraint>
  size_t alternatives(const Constraint& constraint) {
    size_t count = 0;
    constraint.applyToSubschemas([&](unsigned, const Subschema* schema) {
      count += same(nullptr, false).holds(*schema) ? 1 : 0;
      return true;
    });
    return count;
  }

  ValueValidator same(const json::value* schema, bool reporting) const {
    return {report_, value_, pointer_, schema, reporting, depth_ + 1, subject_};
  }
  ValueValidator below(const json::value& member, std::string_view name,
                       const json::value* schema) const {
    return {report_,
            member,
            fmt::format("{}/{}", pointer_, printable(escaped(name), limits::kPathBytesMax)),
            schema,
            reporting_,
            depth_ + 1};
  }

  const json::value* member_of(const json::value* schema, std::string_view name) const {
    return schema && schema->is_object() ? schema->get_object().if_contains(name) : nullptr;
  }
  const json::value* keyword(std::string_view name) const { return member_of(schema_, name); }
  const json::value* element(std::string_view name, size_t index) const {
    const json::value* const list = keyword(name);
    return list && list->is_array() ? list->get_array().if_contains(index) : nullptr;
  }
  // Follows one "$ref" within the same text.
  const json::value* resolved(const json::value* schema) const {
    const json::value* const reference = member_of(schema, "$ref");
    if (!reference || !reference->is_string() || !reference->get_string().starts_with('#'))
      return schema;
    json::error_code error;
    return report_.root_schema.find_pointer(reference->get_string().subview(1), error);
  }
  // Formats the values of a keyword for a message.
  std::string allowed(std::string_view name) const {
    const json::value* const values = keyword(name);
    if (!values) return "what is allowed";
    if (!values->is_array()) return shown(*values);
    std::vector<std::string> texts;
    for (const json::value& value : values->get_array()) texts.push_back(shown(value));
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  Report& report_;
  const json::value& value_;
  const std::string pointer_;
  const json::value* const schema_;
  const bool reporting_;
  const size_t depth_;
  const std::string subject_;
};

bool ValueValidator::visit(const PropertiesConstraint& constraint) {
  if (!value_.is_object()) return true;
  const json::object& object = value_.get_object();
  std::unordered_map<std::string_view, const Subschema*> known;
  std::vector<std::string> names;
  constraint.applyToProperties([&](const auto& name, const Subschema* schema) {
    known.emplace(std::string_view(name), schema);
    names.emplace_back(name);
    return true;
  });
  const Subschema* const others = constraint.getAdditionalPropertiesSubschema();
  bool all = true;
  for (const auto& [name, member] : object) {
    if (report_.full()) return false;
    bool matched = false;
    if (const auto found = known.find(name); found != known.end()) {
      matched = true;
      all &= below(member, name, member_of(keyword("properties"), name)).holds(*found->second);
    }
    constraint.applyToPatternProperties([&](const auto& pattern, const Subschema* schema) {
      if (!matches(report_, std::string(pattern), name)) return true;
      matched = true;
      all &= below(member, name, member_of(keyword("patternProperties"), std::string_view(pattern)))
                 .holds(*schema);
      return true;
    });
    if (matched) continue;
    if (others)
      all &= below(member, name, keyword("additionalProperties")).holds(*others);
    else
      all = say(names.empty() ? fmt::format("the name \"{}\" is not known", printable(name))
                              : fmt::format("the name \"{}\" is not known; known are {}",
                                            printable(name), fmt::join(names, ", ")));
  }
  return all;
}

std::unexpected<Error> unusable(std::string_view why) {
  return fail(ErrorCode::kUsage, fmt::format("the JSON Schema is not usable: {}", why));
}

const json::string* reference_of(const json::value& schema) {
  const json::value* const reference =
      schema.is_object() ? schema.get_object().if_contains("$ref") : nullptr;
  return reference ? reference->if_string() : nullptr;
}

// The library follows a reference to another file, and a circle of references, without end.
Result<void> check_references(const json::value& root, const json::value& at) {
  constexpr size_t kReferencesMax = 16;
  const json::value* target = &at;
  size_t followed = 0;
  for (const auto* text = reference_of(*target); text; text = reference_of(*target)) {
    if (!text->starts_with('#'))
      return unusable(fmt::format("\"{}\" is another document", printable(*text)));
    json::error_code error;
    target = root.find_pointer(text->subview(1), error);
    if (!target) return unusable(fmt::format("\"{}\" leads nowhere", printable(*text)));
    if (++followed > kReferencesMax) return unusable("it refers to itself");
  }
  if (at.is_object()) {
    for (const auto& member : at.get_object()) NOTP_TRY(check_references(root, member.value()));
  } else if (at.is_array()) {
    for (const json::value& element : at.get_array()) NOTP_TRY(check_references(root, element));
  }
  return {};
}

Result<void> validate(const json::value& schema_text, const json::value& document) {
  valijson::Schema schema;
  valijson::SchemaParser(valijson::SchemaParser::kDraft7)
      .populateSchema(BoostJsonAdapter(schema_text), schema);
  Report report{.root_schema = schema_text};
  ValueValidator(report, document, {}, &schema_text, true, 0).holds(schema);
  if (report.endless) return unusable("it refers to itself");
  if (report.lines.empty()) return {};
  return fail(ErrorCode::kInvalidModel, fmt::format("{}", fmt::join(report.lines, "\n")));
}

}  // namespace

Result<void> validate_json_schema(ByteView schema_json, ByteView document_json) {
  const auto schema = parse_json(schema_json);
  if (!schema) return unusable(schema.error().message);
  NOTP_TRY(check_references(*schema, *schema));
  const auto document = parse_json(document_json);
  if (!document)
    return fail(ErrorCode::kMessage,
                fmt::format("the document is not JSON: {}", document.error().message));
  try {
    return validate(*schema, *document);
  } catch (const std::exception& error) {
    return unusable(error.what());
  }
}

}  // namespace notp
