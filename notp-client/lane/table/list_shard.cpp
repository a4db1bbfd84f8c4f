#include "notp-client/lane/table/list_shard.hpp"

namespace notp::lane {

using feed::TokenId;

Result<void> ListShard::change(const Changes& changes) {
  std::map<TokenId, StatusList> all;
  for (uint32_t at = 0; at < view_.lists(); ++at) all.emplace(view_.list_id(at), view_.list(at));
  for (const auto& [key, list] : changes) {
    if (list)
      all.insert_or_assign(key, *list);
    else
      all.erase(key);
  }
  SegmentBuilder builder;
  for (const auto& [key, list] : all) builder.add_list(key, list);
  rego::SharedBytesPtr written;
  if (!builder.is_empty()) {
    NOTP_ASSIGN(written, rego::SharedBytes::create("notp-status-lists", builder.finish()));
  }
  base_ = std::move(written);
  view_ = base_ ? SegmentView(base_->view()) : SegmentView();
  return {};
}

std::optional<StatusList> ListShard::find(const TokenId& key) const {
  const auto at = view_.find_list(key);
  return at ? std::optional(view_.list(*at)) : std::nullopt;
}

std::vector<TokenId> ListShard::keys() const {
  std::vector<TokenId> out;
  for (uint32_t at = 0; at < view_.lists(); ++at) out.push_back(view_.list_id(at));
  return out;
}

std::vector<TokenId> ListShard::ended(int64_t now_s) const {
  std::vector<TokenId> out;
  for (uint32_t at = 0; at < view_.lists(); ++at)
    if (view_.list(at).until_s <= now_s) out.push_back(view_.list_id(at));
  return out;
}

uint64_t ListShard::statuses_bytes() const {
  uint64_t bytes = 0;
  for (uint32_t at = 0; at < view_.lists(); ++at) bytes += view_.list(at).statuses.size();
  return bytes;
}

}  // namespace notp::lane
