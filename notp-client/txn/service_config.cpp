#include "notp-client/txn/service_config.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "notp-client/txn/http/http_limits.hpp"

namespace notp::txn {
namespace {

constexpr TimeMs kMsPerSecond = 1'000;

// A ledger that decides here, so that what is in it is known.
Result<model::LedgerId> own_ledger(const config::Section& root, std::string_view key) {
  const std::string text = root.text(key);
  const auto ledgers = root.texts("ledgers");
  if (std::ranges::find(ledgers, text) == ledgers.end())
    return fail(
        ErrorCode::kConfig,
        fmt::format("{} is {}, which this agent does not have: add it to ledgers", key, text));
  return model::LedgerId::parse(text);
}

std::vector<jose::Algorithm> algorithms_of(const std::vector<std::string>& names) {
  std::vector<jose::Algorithm> out;
  for (const std::string& name : names)
    if (const auto algorithm = jose::algorithm_of(name)) out.push_back(*algorithm);
  return out;
}

// The defaults of the schema do not reach members of arrays.
std::vector<std::string> texts_or(const config::Section& section, std::string_view key,
                                  std::vector<std::string> otherwise) {
  return section.has(key) ? section.texts(key) : std::move(otherwise);
}

bool has(const std::vector<std::string>& texts, std::string_view text) {
  return std::ranges::find(texts, text) != texts.end();
}

// Where typ does not tell access tokens from ID tokens, the audience has to (RFC 8725 §3.12).
Result<void> check_subject(const SubjectIssuer& subject, const std::vector<SubjectIssuer>& before) {
  for (const SubjectIssuer& other : before)
    if (other.issuer == subject.issuer && other.audience == subject.audience)
      return fail(ErrorCode::kConfig,
                  fmt::format("txn.service.subjects has {} twice for the audience {}",
                              subject.issuer, subject.audience));
  if (!has(subject.types, "access_token") || !has(subject.types, "id_token") ||
      !has(subject.access_typ, "JWT"))
    return {};
  return fail(ErrorCode::kConfig,
              fmt::format("txn.service.subjects: with access_typ JWT an ID token of {} could pass "
                          "as an access token: give id_token an entry of its own, with the "
                          "audience of ID tokens",
                          subject.issuer));
}

// Access tokens and jwt are asked about, ID tokens are not.
Result<void> check_introspection(const SubjectIssuer& subject) {
  if (!subject.introspection) return {};
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorCode::kConfig, fmt::format("txn.service.subjects: {} for the audience {}: {}",
                                                subject.issuer, subject.audience, what));
  };
  const bool has_access = has(subject.types, "access_token"), has_jwt = has(subject.types, "jwt");
  if (!has_access && !has_jwt)
    return wrong(
        "an issuer is asked about access_token and jwt, which types has not: leave out "
        "introspection");
  if (subject.introspection->is_for_opaque && !has_access)
    return wrong(
        "introspection.opaque is about access tokens: add access_token to types, or leave "
        "it out");
  if (has_jwt && has(subject.types, "id_token"))
    return wrong(
        "with introspection a jwt that was revoked could pass as an ID token, and of those the "
        "issuer is not asked: give id_token an entry of its own, with another audience");
  return {};
}

// An opaque token does not say whose it is, and no issuer may see those of another.
Result<void> check_opaque(const std::vector<SubjectIssuer>& subjects) {
  const auto count = std::ranges::count_if(subjects, [](const SubjectIssuer& subject) {
    return subject.introspection && subject.introspection->is_for_opaque;
  });
  if (count <= 1) return {};
  return fail(ErrorCode::kConfig,
              "txn.service.subjects: opaque tokens can be those of one issuer: have "
              "introspection.opaque once");
}

Result<std::vector<SubjectIssuer>> load_subjects(const config::Section& root,
                                                 const config::Section& service) {
  NOTP_ASSIGN(const http::ProxyConfig proxy, http::load_proxy(root));
  std::vector<SubjectIssuer> out;
  for (const config::Section& one : service.sections("subjects")) {
    SubjectIssuer subject{
        .issuer = one.text("issuer"),
        .keys = one.text("keys"),
        .audience = one.text("audience"),
        .types = texts_or(one, "types", {"access_token"}),
        .access_typ = texts_or(one, "access_typ", {"at+jwt"}),
        .algorithms = algorithms_of(texts_or(one, "algorithms", {"ES256", "RS256"})),
        .introspection = std::nullopt};
    if (one.has("introspection")) {
      auto introspection = load_introspection(one.section("introspection"), subject.issuer, proxy);
      if (!introspection)
        return std::unexpected(
            std::move(introspection)
                .error()
                .in(fmt::format("txn.service.subjects: {}: introspection", subject.issuer)));
      subject.introspection = *std::move(introspection);
    }
    NOTP_TRY(check_subject(subject, out));
    NOTP_TRY(check_introspection(subject));
    out.push_back(std::move(subject));
  }
  NOTP_TRY(check_opaque(out));
  return out;
}

}  // namespace

Result<std::optional<ServiceConfig>> load_service(const config::Section& root) {
  if (!root.has("txn.service")) return std::nullopt;
  const config::Section service = root.section("txn.service");
  if (root.text("pdp.kind") != "embedded")
    return fail(ErrorCode::kConfig,
                "txn.service: the policy about tokens is asked here: use pdp.kind embedded");
  ServiceConfig out;
  out.trust_domain = root.text("trust_domain");
  NOTP_ASSIGN(out.listen, http::load_listen(service.section("listen"), limits::kTxnPort));
  out.listen.endpoint.tls13_only = true;
  out.issuer = service.text("issuer");
  out.audience = service.has("audience") ? service.text("audience") : out.trust_domain;
  out.keys.name = service.text("keys.name");
  NOTP_ASSIGN(out.keys.ledger, own_ledger(root, "txn.service.keys.ledger"));
  out.keys.rotate_ms = service.integer("keys.rotate_s") * kMsPerSecond;
  out.folder = service.has("keys.folder") ? std::filesystem::path(service.text("keys.folder"))
                                          : std::filesystem::path(root.text("data_dir")) / "txn";
  out.keys.folder = out.folder / "keys";
  out.keys.algorithm = jose::algorithm_of(service.text("algorithm")).value_or(out.keys.algorithm);
  out.policy = service.text("policy");
  NOTP_ASSIGN(out.subjects, load_subjects(root, service));
  if (service.has("deny_list")) {
    NOTP_ASSIGN(out.deny_list, own_ledger(root, "txn.service.deny_list"));
  }
  for (const std::string& text : service.texts("admins")) {
    NOTP_ASSIGN(auto pattern, model::SpiffePattern::parse(text, out.trust_domain));
    out.admins.push_back(std::move(pattern));
  }
  out.replaces_tokens = service.flag("replacement");
  out.takes_assertions = service.flag("client_assertions");
  out.limits = {.per_second = service.size("limits.per_second"),
                .at_once = service.size("limits.at_once"),
                .connections = service.size("limits.connections"),
                .grants = service.size("limits.grants")};
  return out;
}

}  // namespace notp::txn
