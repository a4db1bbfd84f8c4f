#include "notp-client/txn/issue/token_form.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/base64url.hpp"
#include "common/jose/json_depth.hpp"
#include "common/limits.hpp"
#include "common/percent.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

constexpr std::string_view kTokenTypePrefix = "urn:ietf:params:oauth:token-type:";

constexpr std::array<std::pair<SubjectType, std::string_view>, 6> kSubjectTypes = {{
    {SubjectType::kAccessToken, "access_token"},
    {SubjectType::kIdToken, "id_token"},
    {SubjectType::kJwt, "jwt"},
    {SubjectType::kSelfSigned, "self_signed"},
    {SubjectType::kUnsignedJson, "unsigned_json"},
    {SubjectType::kTxnToken, "txn_token"},
}};

// The parameters that are read. The rest is ignored, but for those that would change what is asked.
struct Parameters {
  std::string grant_type, audience, scope, requested_token_type, subject_token, subject_token_type,
      client_id, request_context, request_details, client_assertion, client_assertion_type;
  bool has_resource = false, has_actor = false, has_secret = false;
};

bool is_visible(std::string_view text, bool with_space) {
  return std::ranges::all_of(
      text, [with_space](char c) { return (c > ' ' && c <= '~') || (with_space && c == ' '); });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_form_type(std::string_view content_type) {
  const size_t semicolon = content_type.find(';');
  if (lower(trimmed(content_type.substr(0, semicolon))) != "application/x-www-form-urlencoded")
    return false;
  if (semicolon == std::string_view::npos) return true;
  const std::string parameter = lower(trimmed(content_type.substr(semicolon + 1)));
  return parameter == "charset=utf-8" || parameter == "charset=\"utf-8\"";
}

struct Pair {
  std::string name, value;
};

TokenResult<std::vector<Pair>> read_pairs(std::string_view body) {
  std::vector<Pair> pairs;
  while (!body.empty()) {
    const size_t end = body.find('&');
    const std::string_view text = body.substr(0, end);
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    if (text.empty()) continue;
    if (pairs.size() == limits::kTxnFormParametersMax)
      return token_refused(
          Refusal::kFormTooLarge,
          fmt::format("the form has more than {} parameters", limits::kTxnFormParametersMax));
    const size_t equals = text.find('=');
    auto name = percent_decode(text.substr(0, equals), true);
    auto value =
        percent_decode(equals == std::string_view::npos ? "" : text.substr(equals + 1), true);
    if (!name || !value || !is_utf8(*name) || !is_utf8(*value))
      return token_refused(Refusal::kBadForm,
                           "a parameter is not percent-encoded UTF-8 without NUL");
    if (std::ranges::any_of(pairs, [&](const Pair& pair) { return pair.name == *name; }))
      return token_refused(
          Refusal::kRepeatedParameter,
          fmt::format("{} is there twice; each parameter may be sent once", printable(*name, 60)));
    pairs.push_back({*std::move(name), *std::move(value)});
  }
  return pairs;
}

Parameters take_parameters(std::vector<Pair> pairs) {
  Parameters out;
  const std::array<std::pair<std::string_view, std::string*>, 11> known = {{
      {"grant_type", &out.grant_type},
      {"audience", &out.audience},
      {"scope", &out.scope},
      {"requested_token_type", &out.requested_token_type},
      {"subject_token", &out.subject_token},
      {"subject_token_type", &out.subject_token_type},
      {"client_id", &out.client_id},
      {"request_context", &out.request_context},
      {"request_details", &out.request_details},
      {"client_assertion", &out.client_assertion},
      {"client_assertion_type", &out.client_assertion_type},
  }};
  for (Pair& pair : pairs) {
    if (pair.value.empty()) continue;  // RFC 6749 §3.2: as if it were omitted
    const auto found =
        std::ranges::find(known, pair.name, &std::pair<std::string_view, std::string*>::first);
    if (found != known.end()) *found->second = std::move(pair.value);
    out.has_resource |= pair.name == "resource";
    out.has_actor |= pair.name == "actor_token" || pair.name == "actor_token_type";
    out.has_secret |= pair.name == "client_secret";
  }
  return out;
}

TokenResult<> check_present(const Parameters& parameters) {
  const std::array<std::pair<std::string_view, const std::string*>, 6> required = {{
      {"grant_type", &parameters.grant_type},
      {"audience", &parameters.audience},
      {"scope", &parameters.scope},
      {"requested_token_type", &parameters.requested_token_type},
      {"subject_token", &parameters.subject_token},
      {"subject_token_type", &parameters.subject_token_type},
  }};
  for (const auto& [name, value] : required)
    if (value->empty())
      return token_refused(name == "scope" ? Refusal::kBadScope : Refusal::kMissingParameter,
                           fmt::format("{} is missing, or empty", name));
  return {};
}

TokenResult<> check_sizes(const Parameters& parameters) {
  const std::array<std::tuple<std::string_view, const std::string*, size_t>, 7> bounded = {{
      {"audience", &parameters.audience, limits::kTxnIdentifierBytesMax},
      {"client_id", &parameters.client_id, limits::kIdentityBytesMax},
      {"subject_token", &parameters.subject_token, limits::kTxnSubjectTokenBytesMax},
      {"request_context", &parameters.request_context, limits::kTxnContextBytesMax},
      {"request_details", &parameters.request_details, limits::kTxnContextBytesMax},
      {"client_assertion", &parameters.client_assertion, limits::kTxnAssertionBytesMax},
      {"client_assertion_type", &parameters.client_assertion_type, limits::kTxnIdentifierBytesMax},
  }};
  for (const auto& [name, value, max] : bounded)
    if (value->size() > max)
      return token_refused(Refusal::kParameterTooLarge,
                           fmt::format("{} has more than {} bytes", name, max));
  return {};
}

TokenResult<> check_protocol(const Parameters& parameters) {
  if (!parameters.grant_type.empty() && parameters.grant_type != kTokenExchange)
    return token_refused(Refusal::kGrantType, fmt::format("grant_type must be {}", kTokenExchange));
  if (parameters.has_secret)
    return token_refused(Refusal::kOtherAuthentication,
                         "a client is authenticated by its certificate; send no client_secret");
  if (parameters.has_resource)
    return token_refused(Refusal::kResource,
                         "resource is not supported; audience names the trust domain");
  if (parameters.has_actor)
    return token_refused(Refusal::kActorToken,
                         "actor_token is not supported; the client is who its certificate says");
  NOTP_TRY(check_present(parameters));
  if (parameters.requested_token_type != kTxnTokenType)
    return token_refused(Refusal::kRequestedType,
                         fmt::format("requested_token_type must be {}", kTxnTokenType));
  return check_sizes(parameters);
}

TokenResult<std::optional<json::object>> read_object(std::string_view name, std::string_view text,
                                                     Refusal refusal,
                                                     std::string_view subject_token) {
  if (text.empty()) return std::optional<json::object>();
  auto parsed = parse_json(text);
  if (!parsed)
    return token_refused(refusal, fmt::format("{} is not JSON: {}", name, parsed.error().message));
  if (!parsed->is_object())
    return token_refused(refusal, fmt::format("{} is not a JSON object", name));
  if (jose::is_deeper(*parsed, limits::kTxnContextDepthMax))
    return token_refused(
        refusal, fmt::format("{} has more than {} levels", name, limits::kTxnContextDepthMax));
  if (holds_token(*parsed, subject_token))
    return token_refused(Refusal::kTokenInDetails,
                         fmt::format("{} holds a token; a Txn-Token must not carry another token: "
                                     "leave it out",
                                     name));
  return std::optional<json::object>(std::move(parsed->get_object()));
}

TokenResult<SubjectType> read_subject_type(std::string_view text) {
  if (text.starts_with(kTokenTypePrefix))
    if (const auto type = subject_type_of(text.substr(kTokenTypePrefix.size()))) return *type;
  if (text == "urn:ietf:params:oauth:token-type:refresh_token")
    return token_refused(Refusal::kSubjectType, "a refresh token is not taken as subject token");
  return token_refused(Refusal::kSubjectType,
                       "subject_token_type is not one that is taken here: access_token, id_token, "
                       "jwt, self_signed, unsigned_json, txn_token");
}

// --- tokens in contexts

constexpr size_t kHeaderMax = 1'024;  // of a token that is looked for, in base64url

bool is_base64url(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

bool is_token_header(std::string_view text) {
  const auto decoded = from_base64url(text);
  if (!decoded) return false;
  const auto parsed = parse_json(*decoded);
  return parsed && parsed->is_object() &&
         (parsed->get_object().contains("alg") || parsed->get_object().contains("enc"));
}

// Whether a header ends at `dot`. What is glued before it does not hide it.
bool has_header_before(std::string_view text, size_t dot) {
  size_t begin = dot;
  while (begin > 0 && is_base64url(text[begin - 1])) --begin;
  if (dot - begin > kHeaderMax) begin = dot - kHeaderMax;
  for (size_t at = begin; at + 8 <= dot; ++at) {
    // '{' begins with these six bits and two more.
    if (text[at] != 'e' || (dot - at) % 4 == 1) continue;
    const auto front = from_base64url(text.substr(at, 8));
    if (!front || !front->starts_with('{')) continue;
    const size_t next = front->find_first_not_of(" \t\r\n", 1);
    if (next != std::string::npos && (*front)[next] != '"') continue;
    if (is_token_header(text.substr(at, dot - at))) return true;
  }
  return false;
}

bool text_holds_token(std::string_view text, std::string_view token) {
  if (token.size() >= 16 && text.contains(token)) return true;
  for (size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.', dot + 1)) {
    size_t end = dot + 1;
    while (end < text.size() && is_base64url(text[end])) ++end;
    if (end < text.size() && text[end] == '.' && has_header_before(text, dot)) return true;
  }
  return false;
}

bool is_scope_character(char c) { return c >= '!' && c <= '~' && c != '"' && c != '\\'; }

}  // namespace

std::string_view subject_type_name(SubjectType type) {
  return kSubjectTypes.at(static_cast<size_t>(type)).second;
}

std::optional<SubjectType> subject_type_of(std::string_view name) {
  for (const auto& [type, text] : kSubjectTypes)
    if (text == name) return type;
  return std::nullopt;
}

bool holds_token(const json::value& value, std::string_view token) {
  if (value.is_string()) return text_holds_token(value.get_string(), token);
  if (value.is_array())
    return std::ranges::any_of(value.get_array(), [token](const json::value& element) {
      return holds_token(element, token);
    });
  if (!value.is_object()) return false;
  return std::ranges::any_of(value.get_object(), [token](const json::key_value_pair& member) {
    return text_holds_token(member.key(), token) || holds_token(member.value(), token);
  });
}

TokenResult<std::vector<std::string>> read_scopes(std::string_view text) {
  std::vector<std::string> out;
  while (true) {
    const size_t end = text.find(' ');
    const std::string_view scope = text.substr(0, end);
    if (scope.empty() || !std::ranges::all_of(scope, is_scope_character))
      return token_refused(Refusal::kBadScope,
                           "scope must be names of RFC 6749 section 3.3, each separated from the "
                           "next by one space");
    if (scope.size() > limits::kTxnScopeBytesMax || out.size() == limits::kTxnScopesMax)
      return token_refused(Refusal::kBadScope,
                           fmt::format("scope may have {} names of {} bytes", limits::kTxnScopesMax,
                                       limits::kTxnScopeBytesMax));
    if (text_holds_token(scope, {}))
      return token_refused(Refusal::kBadScope, "a name in scope is a token");
    if (std::ranges::find(out, scope) != out.end())
      return token_refused(Refusal::kBadScope, "a name is twice in scope");
    out.emplace_back(scope);
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::string join_scopes(const std::vector<std::string>& scopes) {
  return fmt::format("{}", fmt::join(scopes, " "));
}

TokenResult<TokenForm> read_form(std::string_view content_type, std::string_view body) {
  if (!is_form_type(content_type))
    return token_refused(Refusal::kContentType,
                         "the request must be application/x-www-form-urlencoded");
  if (body.size() > limits::kTxnFormBytesMax)
    return token_refused(Refusal::kFormTooLarge,
                         fmt::format("the form has more than {} bytes", limits::kTxnFormBytesMax));
  NOTP_ASSIGN(auto pairs, read_pairs(body));
  Parameters parameters = take_parameters(std::move(pairs));
  NOTP_TRY(check_protocol(parameters));
  TokenForm form;
  NOTP_ASSIGN(form.subject_type, read_subject_type(parameters.subject_token_type));
  NOTP_ASSIGN(form.scopes, read_scopes(parameters.scope));
  if (!is_visible(parameters.audience, false) || !is_visible(parameters.client_id, false))
    return token_refused(Refusal::kBadForm,
                         "audience or client_id has a character that is not "
                         "one of visible ASCII");
  if (form.subject_type != SubjectType::kUnsignedJson &&
      !is_visible(parameters.subject_token, false))
    return token_refused(Refusal::kSubjectMalformed,
                         "subject_token has a character that no token has");
  // A JSON object is no secret that could be copied out of a context.
  std::string_view secret;
  if (form.subject_type != SubjectType::kUnsignedJson) secret = parameters.subject_token;
  NOTP_ASSIGN(form.request_context, read_object("request_context", parameters.request_context,
                                                Refusal::kBadContext, secret));
  NOTP_ASSIGN(form.request_details, read_object("request_details", parameters.request_details,
                                                Refusal::kBadDetails, secret));
  form.audience = std::move(parameters.audience);
  form.client_id = std::move(parameters.client_id);
  form.client_assertion = std::move(parameters.client_assertion);
  form.client_assertion_type = std::move(parameters.client_assertion_type);
  form.subject_token = std::move(parameters.subject_token);
  return form;
}

}  // namespace notp::txn
