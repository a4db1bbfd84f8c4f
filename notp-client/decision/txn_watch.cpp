#include "notp-client/decision/txn_watch.hpp"

#include <algorithm>

#include "common/json/json.hpp"

namespace notp::decision {
namespace {

std::string_view check_of(const Error& error) {
  for (const auto& [key, text] : error.context)
    if (key == "check") return text;
  return {};
}

prometheus::Counter& counter(prometheus::Family<prometheus::Counter>& family, const char* outcome) {
  return family.Add({{"outcome", outcome}});
}

}  // namespace

struct TxnWatch::Parts {
  Parts(TxnWatchOptions given, prometheus::Registry& metrics)
      : options(std::move(given)), pointers(options.tokens) {
    auto& family = prometheus::BuildCounter()
                       .Name("notp_agent_txn_tokens_total")
                       .Help("Transaction tokens in questions, by what the agent found")
                       .Register(metrics);
    verified = &counter(family, "verified");
    unknown_key = &counter(family, "unknown_key");
    refused = &counter(family, "refused");
    no_keys = &counter(family, "no_keys");
    overflow = &counter(family, "not_counted");
  }

  const TxnWatchOptions options;
  const InputPointers pointers;
  txn::Presentations presentations;
  prometheus::Counter* verified;
  prometheus::Counter* unknown_key;
  prometheus::Counter* refused;
  prometheus::Counter* no_keys;
  prometheus::Counter* overflow;
};

TxnWatch::TxnWatch(TxnWatchOptions options, prometheus::Registry& metrics)
    : parts_(std::make_shared<Parts>(std::move(options), metrics)) {}

boost::asio::awaitable<std::vector<std::vector<SeenTxn>>> TxnWatch::look(
    pdp::Question& question) const {
  std::vector<std::vector<InputPointers::Found>> found;
  bool has_any = false;
  for (const pdp::InputText& input : question.inputs) {
    found.push_back(parts_->pointers.texts_in(question.form, input));
    has_any = has_any || !found.back().empty();
  }
  if (!has_any) co_return std::vector<std::vector<SeenTxn>>();
  const auto keys = co_await parts_->options.keys();
  const std::string path = pdp::reference_text(question.path);
  std::vector<std::vector<SeenTxn>> out;
  std::vector<Bytes> presented(found.size());
  for (size_t i = 0; i < found.size(); ++i)
    out.push_back(look_at(found[i], keys.get(), path, presented[i]));
  if (parts_->options.counts) question.presented = std::move(presented);
  co_return out;
}

std::vector<SeenTxn> TxnWatch::look_at(const std::vector<InputPointers::Found>& found,
                                       const jose::KeySet* keys, const std::string& path,
                                       Bytes& presented) const {
  const TxnWatchOptions& options = parts_->options;
  const TimeMs now_ms = options.now_ms();
  std::vector<SeenTxn> out;
  json::object counts;
  for (const InputPointers::Found& one : found) {
    SeenTxn seen{.pointer = "/input" + options.tokens[one.pointer], .token = sha256(one.text)};
    if (!keys) {
      parts_->no_keys->Increment();
      out.push_back(std::move(seen));
      continue;
    }
    auto token = txn::check_txn_token(one.text, *keys, options.rules, now_ms);
    if (!token) {
      const bool is_unknown = check_of(token.error()) == "token.kid";
      (is_unknown ? parts_->unknown_key : parts_->refused)->Increment();
      if (is_unknown && options.unknown_key) options.unknown_key(txn::signer_of(one.text));
      out.push_back(std::move(seen));
      continue;
    }
    parts_->verified->Increment();
    if (options.counts && !counts.contains(token->txn)) {  // once for an input
      if (const auto before = parts_->presentations.take(path, token->txn, token->exp_ms, now_ms))
        counts[token->txn] = *before;
      else
        parts_->overflow->Increment();
    }
    seen.txn = std::move(token->txn);
    seen.sub = std::move(token->sub);
    seen.req_wl = std::move(token->req_wl);
    out.push_back(std::move(seen));
  }
  if (!counts.empty()) presented = json::serialize(counts);
  return out;
}

}  // namespace notp::decision
