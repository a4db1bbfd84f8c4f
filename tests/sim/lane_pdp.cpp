#include "tests/sim/lane_pdp.hpp"

#include <algorithm>

namespace notp::sim {

using feed::Event;
using feed::EventKind;
using feed::MarkKind;

void LanePdp::put(const Event& event) {
  if (event.kind == EventKind::kDeleted) entries_.erase({EventKind::kToken, event.id});
  entries_[feed::key_of(event)] = event;
}

void LanePdp::apply(const lane::TableUpdate& update) {
  if (update.feed.is_whole) {
    entries_.clear();
    lane::for_each(update, [this](const Event& event) {
      put(event);
      return true;
    });
  }
  for (const feed::EventKey& key : update.gone) entries_.erase(key);
  for (const Event& event : update.events) put(event);
  readout_ = update.feed.readout;
}

const Event* LanePdp::find(EventKind kind, const feed::TokenId& id) const {
  const auto found = entries_.find({kind, id});
  return found == entries_.end() ? nullptr : &found->second;
}

bool LanePdp::has(const Event& revocation) const {
  const Event* const found = find(revocation.kind, revocation.id);
  return found != nullptr && found->not_before_s >= revocation.not_before_s;
}

TimeMs LanePdp::now_ms(Now now) const {
  return std::max(now.wall_ms, readout_.trusted_ms + now.boot_ms - readout_.boot_ms);
}

bool LanePdp::answers(Now now) const {
  if (readout_.serves) return true;
  const TimeMs age_ms = now_ms(now) - readout_.heard_ms;
  return readout_.heard_ms != 0 && age_ms <= static_cast<TimeMs>(readout_.hard_s) * 1'000;
}

// An iat that is equal counts; 0: there is none, and every mark counts.
bool LanePdp::is_marked(MarkKind kind, const std::string& issuer, const std::string& value,
                        int64_t iat_s) const {
  if (issuer.empty() || value.empty()) return false;
  const Event* const mark = find(EventKind::kMark, feed::mark_key(kind, issuer, value));
  return mark != nullptr && (iat_s == 0 || iat_s <= mark->not_before_s);
}

std::optional<feed::TokenRecord> LanePdp::lookup(const feed::TokenId& id, Now now) const {
  const Event* const token = find(EventKind::kToken, id);
  // Without all revocations no token is known to live.
  if (token == nullptr || !readout_.is_complete || !answers(now)) return std::nullopt;
  const feed::TokenRecord& record = token->record;
  if (record.exp_s * 1'000 <= now_ms(now)) return std::nullopt;
  if (is_marked(MarkKind::kSubject, record.iss, record.sub, record.iat_s) ||
      is_marked(MarkKind::kSession, record.iss, record.sid, record.iat_s))
    return std::nullopt;
  return record;
}

bool LanePdp::revoked(const feed::TokenId& token, Now now) const {
  if (!readout_.is_complete || !answers(now)) return true;
  return find(EventKind::kDeleted, token) != nullptr;
}

bool LanePdp::revoked(const SimClaims& claims, Now now) const {
  if (!readout_.is_complete || !answers(now)) return true;
  if (is_marked(MarkKind::kSubject, claims.iss, claims.sub, claims.iat_s) ||
      is_marked(MarkKind::kSession, claims.iss, claims.sid, claims.iat_s) ||
      is_marked(MarkKind::kTokenNumber, claims.iss, claims.jti, claims.iat_s))
    return true;
  if (!claims.has_status) return false;
  const Event* const list = find(EventKind::kList, claims.list);
  if (list == nullptr || list->until_s * 1'000 <= now_ms(now)) return true;
  const uint64_t bit = claims.index * list->bits;
  if (bit / 8 >= list->list.size()) return true;
  const auto byte = static_cast<uint8_t>(list->list[bit / 8]);
  return ((byte >> (bit % 8)) & ((1U << list->bits) - 1)) != 0;
}

}  // namespace notp::sim
