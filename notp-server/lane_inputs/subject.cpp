#include "notp-server/lane_inputs/subject.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

using feed::MarkKind;

// Keycloak names all sessions of a user so.
constexpr std::string_view kAllSessions = "ALL";

Result<std::string> text_of(const json::object& subject, std::string_view name) {
  const json::value* const value = subject.if_contains(name);
  if (value == nullptr || !value->is_string() || value->get_string().empty())
    return refuse("subject.member", fmt::format("the subject has no text \"{}\"", name));
  if (value->get_string().size() > kSubjectBytesMax)
    return refuse("subject.member",
                  fmt::format("the subject's \"{}\" has {} bytes, more than {}", name,
                              value->get_string().size(), kSubjectBytesMax));
  return std::string(value->get_string());
}

Result<MarkTarget> checked(MarkTarget target, const SubjectRules& rules) {
  if (rules.issuers.empty() ||
      std::ranges::find(rules.issuers, target.issuer) != rules.issuers.end())
    return target;
  return refuse("subject.other-issuer",
                fmt::format("the event is about a subject of {}, and this source may not tell of "
                            "that issuer; if it may, add it to subject_issuers",
                            printable(target.issuer)));
}

struct Reader {
  const SubjectRules& rules;
  const MarkKind bare;

  Result<MarkTarget> of_issuer(const json::object& subject, std::string_view member,
                               MarkKind kind) const {
    NOTP_ASSIGN(std::string issuer, text_of(subject, "iss"));
    NOTP_ASSIGN(std::string value, text_of(subject, member));
    return checked({kind, std::move(issuer), std::move(value)}, rules);
  }

  Result<MarkTarget> opaque(const json::object& subject) const {
    NOTP_ASSIGN(std::string id, text_of(subject, "id"));
    return checked({bare, rules.issuer, std::move(id)}, rules);
  }

  Result<MarkTarget> mapped(const json::object& subject, std::string_view member) const {
    NOTP_ASSIGN(const std::string name, text_of(subject, member));
    const auto found = rules.subjects.find(lower_case(name));
    // The name is personal: it is not repeated.
    if (found == rules.subjects.end())
      return refuse("subject.not-mapped",
                    fmt::format("the subject is named by {}, and 'subjects' of the source has no "
                                "sub for it",
                                member));
    return checked({MarkKind::kSubject, rules.issuer, found->second}, rules);
  }

  // RFC 9493 §3.2.8: any of them names the subject.
  Result<MarkTarget> aliases(const json::object& subject) const {
    const json::value* const list = subject.if_contains("identifiers");
    if (list == nullptr || !list->is_array() || list->get_array().empty() ||
        list->get_array().size() > kAliasesMax)
      return refuse("subject.member", fmt::format("the subject has no array \"identifiers\" of 1 "
                                                  "to {} entries",
                                                  kAliasesMax));
    Result<MarkTarget> out = fail(ErrorCode::kInternal, "");
    for (const json::value& one : list->get_array()) {
      out = simple(one);
      if (out) break;
    }
    return out;
  }

  Result<MarkTarget> part(const json::value& value) const {
    const json::object* const subject = value.if_object();
    const json::value* const format = subject == nullptr ? nullptr : subject->if_contains("format");
    return format != nullptr && *format == "aliases" ? aliases(*subject) : simple(value);
  }

  Result<MarkTarget> simple(const json::value& value) const {
    if (!value.is_object())
      return refuse("subject.not-an-object", "the subject is not a JSON object");
    const json::object& subject = value.get_object();
    NOTP_ASSIGN(const std::string format, format_of(subject));
    if (format == "iss_sub") return of_issuer(subject, "sub", MarkKind::kSubject);
    if (format == "jwt_id") return of_issuer(subject, "jti", MarkKind::kTokenNumber);
    if (format == "opaque") return opaque(subject);
    if (format == "email") return mapped(subject, "email");
    if (format == "account") return mapped(subject, "uri");
    return refuse("subject.unknown-format",
                  fmt::format("a lane cannot name a subject of the format \"{}\"",
                              printable(format, kEventTypeBytesMax)));
  }

  // SSF 1.0 §3.3: all of its members together limit what is meant.
  Result<MarkTarget> complex(const json::object& subject) const {
    if (const json::value* session = subject.if_contains("session")) {
      NOTP_ASSIGN(MarkTarget target, (Reader{rules, MarkKind::kSession}.part(*session)));
      if (target.value != kAllSessions) {
        // iss_sub within "session": its sub is the session's id.
        if (target.kind == MarkKind::kSubject) target.kind = MarkKind::kSession;
        return target;
      }
    }
    if (const json::value* user = subject.if_contains("user"))
      return Reader{rules, MarkKind::kSubject}.part(*user);
    return refuse("subject.too-wide",
                  "the subject has neither a user nor one session: a lane cannot name it, and "
                  "revokes nothing of it");
  }

  static Result<std::string> format_of(const json::object& subject) {
    auto format = text_of(subject, "format");
    if (format) return format;
    return refuse("subject.format", "the subject has no format (RFC 9493 §3)");
  }
};

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

Result<MarkTarget> target_of(const json::value& subject, const SubjectRules& rules, MarkKind bare) {
  const Reader reader{rules, bare};
  const json::object* const members = subject.if_object();
  const json::value* const format = members == nullptr ? nullptr : members->if_contains("format");
  return format != nullptr && *format == "complex" ? reader.complex(*members)
                                                   : reader.part(subject);
}

}  // namespace notp::lane_inputs
