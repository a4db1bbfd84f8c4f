#include "tests/sim/delegation_oracle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace notp::sim {
namespace {

std::string text_at(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::set<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::set<std::string> out;
  for (std::string word; stream >> word;) out.insert(word);
  return out;
}

const json::object& details_of(const txn::TokenForm& form) {
  static const json::object kNone;
  return form.request_details ? *form.request_details : kNone;
}

bool covers(const std::string& to, const std::string& workload) {
  if (!to.ends_with("/*")) return to == workload;
  return workload.starts_with(to.substr(0, to.size() - 1));
}

}  // namespace

std::string needed_scope(const std::string& scope) {
  if (scope.starts_with("order:")) return "orders";
  if (scope.starts_with("stock:")) return "trade";
  return "read";
}

void DelegationOracle::fail(const Signed& token, const std::string& what) {
  port_.violation(fmt::format("{}: {}", text_at(token.claims, "txn"), what));
}

void DelegationOracle::on_signed(const Signed& token) {
  const std::string txn = text_at(token.claims, "txn");
  Token issued{json::serialize(token.claims), text_at(token.claims, "sub"), txn,
               words_of(text_at(token.claims, "scope")), token.client};
  check_claims(token, issued);
  const std::string redeemed = text_at(details_of(token.form), "grant");
  const Grant* from = nullptr;
  if (redeemed.empty()) {
    check_first(token, issued);
  } else {
    const auto grant = grants_.find(redeemed);
    if (grant == grants_.end()) return fail(token, "its grant was never given");
    issued.root = grant->second.root;
    check_redeemed(token, issued, grant->second);
    from = &grant->second;
  }
  const auto [known, is_new] = tokens_.emplace(txn, issued);
  if (!is_new && (known->second.text != issued.text || known->second.workload != token.client))
    fail(token, "two tokens of one number differ");
  if (is_new == token.is_repeat) fail(token, "a repetition is not one");
  add_grant(token, issued, from);
}

void DelegationOracle::check_claims(const Signed& token, const Token& issued) {
  const json::object& claims = token.claims;
  const int64_t iat = claims.at("iat").as_int64(), exp = claims.at("exp").as_int64();
  if (exp <= iat || exp - iat > 300) fail(token, "it lives too long");
  if (token.is_repeat && exp * 1'000 <= token.service_ms) fail(token, "it is repeated too late");
  if (text_at(claims, "req_wl") != token.client) fail(token, "req_wl is another workload");
  if (issued.scopes.empty()) fail(token, "it has no scope");
  for (const std::string& scope : issued.scopes)
    if (std::ranges::find(token.form.scopes, scope) == token.form.scopes.end())
      fail(token, fmt::format("scope {} was not asked for", scope));
  const auto revoked = revoked_users_.find(issued.sub);
  if (revoked != revoked_users_.end() && token.checked_ms >= revoked->second)
    fail(token, "its subject had been revoked");
}

void DelegationOracle::check_first(const Signed& token, const Token& issued) {
  const auto subject = subjects_.find(token.form.subject_token);
  if (subject == subjects_.end()) return fail(token, "it leads to no genuine subject token");
  if (issued.sub != subject->second.sub) fail(token, "its subject is another one");
  for (const std::string& scope : issued.scopes)
    if (!subject->second.scopes.contains(needed_scope(scope)))
      fail(token, fmt::format("scope {} is not covered by the subject token", scope));
  if (token.is_repeat) fail(token, "a first token was repeated");
}

void DelegationOracle::check_redeemed(const Signed& token, const Token& issued, Grant& grant) {
  const json::object& claims = token.claims;
  if (issued.sub != grant.sub) fail(token, "the subject changed on the way");
  if (!std::ranges::includes(grant.scopes, issued.scopes)) fail(token, "more scope than the grant");
  const auto parent = tokens_.find(grant.parent);
  if (parent == tokens_.end() || !std::ranges::includes(parent->second.scopes, issued.scopes))
    fail(token, "more scope than the token before");
  if (claims.at("exp").as_int64() > grant.not_after_s) fail(token, "it outlives its grant");
  if (!token.is_repeat && token.service_ms >= grant.not_after_s * 1'000)
    fail(token, "its grant had ended");
  if (!covers(grant.to, token.client)) fail(token, "its grant was for another workload");
  if (text_at(details_of(token.form), "digest") != grant.digest)
    fail(token, "its grant was for another message");
  if (grant.is_revoked) fail(token, "its grant had been revoked");
  for (const std::string& txn : grant.lineage) {
    const auto marked = marked_txns_.find(txn);
    if (marked != marked_txns_.end() && token.checked_ms >= marked->second)
      fail(token, "a token of its chain had been revoked");
  }
  const json::object* tctx = claims.contains("tctx") && claims.at("tctx").is_object()
                                 ? &claims.at("tctx").as_object()
                                 : nullptr;
  if (tctx == nullptr || text_at(*tctx, "parent_txn") != grant.parent ||
      text_at(*tctx, "root_txn") != grant.root || text_at(*tctx, "origin") != grant.origin ||
      !tctx->contains("chain") ||
      tctx->at("chain") != json::value(json::array(grant.chain.begin(), grant.chain.end())))
    fail(token, "its chain is not how it came");
  if (grant.txns.insert(text_at(claims, "txn")).second) ++uses_;
  if (static_cast<int64_t>(grant.txns.size()) > grant.uses)
    fail(token,
         fmt::format("a grant for {} uses was used {} times", grant.uses, grant.txns.size()));
}

void DelegationOracle::add_grant(const Signed& token, const Token& issued, const Grant* from) {
  if (token.made.empty() || grants_.contains(token.made)) return;
  const json::value* wish = details_of(token.form).if_contains("delegate");
  if (wish == nullptr) return fail(token, "a grant that was not asked for");
  const json::object& members = wish->as_object();
  Grant grant;
  grant.parent = text_at(token.claims, "txn");
  grant.root = issued.root;
  grant.sub = issued.sub;
  grant.to = text_at(members, "to");
  grant.digest = text_at(members, "digest");
  grant.scopes = words_of(text_at(members, "scope"));
  grant.not_after_s = members.at("not_after").as_int64();
  if (const json::value* uses = members.if_contains("uses")) grant.uses = uses->as_int64();
  grant.origin = from != nullptr ? from->origin : token.client;
  if (from != nullptr) {
    grant.chain = from->chain;
    grant.lineage = from->lineage;
  }
  grant.lineage.push_back(grant.parent);
  grant.chain.push_back(token.client);
  if (!std::ranges::includes(issued.scopes, grant.scopes))
    fail(token, "a grant has more scope than its token");
  if (from != nullptr && (!std::ranges::includes(from->scopes, grant.scopes) ||
                          grant.not_after_s > from->not_after_s || grant.uses > from->uses))
    fail(token, "a grant that is passed on is wider");
  if (grant.chain.size() > 4) fail(token, "a grant is passed on too often");
  grants_.emplace(token.made, std::move(grant));
}

void DelegationOracle::revoked_txn(const std::string& txn) {
  for (auto& [id, grant] : grants_) {
    if (grant.parent != txn || grant.is_revoked) continue;
    grant.is_revoked = true;
    for (const std::string& next : std::set(grant.txns)) revoked_txn(next);
  }
}

}  // namespace notp::sim
