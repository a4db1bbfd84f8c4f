#include "notp-server/lane/grants.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/crypto/digest.hpp"
#include "common/json/json.hpp"

namespace notp::lane {
namespace {

constexpr std::array<std::pair<std::string_view, Attribute>, 11> kAttributes = {
    {{"iss", Attribute::kIss},
     {"sub", Attribute::kSub},
     {"client", Attribute::kClient},
     {"scope", Attribute::kScope},
     {"aud", Attribute::kAud},
     {"iat", Attribute::kIat},
     {"acr", Attribute::kAcr},
     {"amr", Attribute::kAmr},
     {"auth_time", Attribute::kAuthTime},
     {"sid", Attribute::kSid},
     {"cnf", Attribute::kCnf}}};

// A token that has ended before every clock.
constexpr int64_t kEndedS = 1;

json::array texts(const std::set<std::string, std::less<>>& from) {
  return json::array(from.begin(), from.end());
}

}  // namespace

Result<Attributes> Attributes::parse(const std::vector<std::string>& names) {
  Attributes out;
  for (const std::string& name : names) {
    if (name == "exp") continue;
    const auto found =
        std::ranges::find(kAttributes, name, &std::pair<std::string_view, Attribute>::first);
    if (found == kAttributes.end()) {
      std::vector<std::string_view> all;
      for (const auto& [known, attribute] : kAttributes) all.push_back(known);
      return fail(ErrorCode::kConfig, fmt::format("'{}' is not an attribute of a token: they are "
                                                  "exp, {}",
                                                  printable(name), fmt::join(all, ", ")));
    }
    out.bits_ |= static_cast<uint16_t>(found->second);
  }
  return out;
}

Attributes Attributes::all() {
  Attributes out;
  for (const auto& [name, attribute] : kAttributes) out.bits_ |= static_cast<uint16_t>(attribute);
  return out;
}

feed::TokenRecord Attributes::project(feed::TokenRecord record) const {
  if (!has(Attribute::kIss)) record.iss.clear();
  if (!has(Attribute::kSub)) record.sub.clear();
  if (!has(Attribute::kClient)) record.client.clear();
  if (!has(Attribute::kScope)) record.scope.clear();
  if (!has(Attribute::kAud)) record.aud.clear();
  if (!has(Attribute::kIat)) record.iat_s = 0;
  if (!has(Attribute::kAcr)) record.acr.clear();
  if (!has(Attribute::kAmr)) record.amr.clear();
  if (!has(Attribute::kAuthTime)) record.auth_time_s = 0;
  if (!has(Attribute::kSid)) record.sid.clear();
  if (!has(Attribute::kCnf)) record.cnf.clear();
  return record;
}

GrantView::GrantView(std::string_view lane, const Grant& grant, wire::LaneMode mode)
    : mode_(mode),
      audiences_(grant.audiences.begin(), grant.audiences.end()),
      clients_(grant.clients.begin(), grant.clients.end()),
      attributes_(grant.attributes) {
  const json::array terms{lane, texts(audiences_), texts(clients_), int64_t{attributes_.bits()},
                          is_ask()};
  const Hash hash = sha256(json::serialize(terms));
  std::memcpy(&id_, hash.bytes.data(), sizeof id_);
  // Within what every reader of JSON has as an integer.
  id_ = (id_ >> 11) | 1;
}

bool GrantView::sees(const feed::TokenRecord& record) const {
  const auto is_for = [&](const std::string& audience) { return audiences_.contains(audience); };
  return (audiences_.empty() || std::ranges::any_of(record.aud, is_for)) &&
         (clients_.empty() || clients_.contains(record.client));
}

std::optional<feed::Event> GrantView::row(const feed::Event& event) const {
  if (event.kind == feed::EventKind::kToken && is_ask()) return std::nullopt;
  return answer(event);
}

std::optional<feed::Event> GrantView::news(const Row& row) const {
  if (auto seen = this->row(row.event)) return seen;
  if (!row.replaced) return std::nullopt;
  return feed::Event::token(row.event.id, {.exp_s = kEndedS});
}

std::optional<feed::Event> GrantView::answer(const feed::Event& event) const {
  if (event.kind != feed::EventKind::kToken) return event;
  if (!sees(event.record)) return std::nullopt;
  return feed::Event::token(event.id, attributes_.project(event.record));
}

const Grant* find_grant(const std::vector<Grant>& grants, const session::Identity& identity) {
  const auto covers = [&](const Grant& grant) {
    return std::ranges::any_of(grant.nodes, [&](const session::IdentityPattern& pattern) {
      return pattern.covers(identity);
    });
  };
  const auto found = std::ranges::find_if(grants, covers);
  return found == grants.end() ? nullptr : &*found;
}

}  // namespace notp::lane
