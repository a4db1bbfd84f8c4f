#include "notp-client/decision/token_ask.hpp"

#include <algorithm>

#include "protocol/feed/feed_limits.hpp"

namespace notp::decision {

TokenAsk::TokenAsk(const std::vector<std::string>& pointers, Resolve resolve)
    : pointers_(pointers), resolve_(std::move(resolve)) {}

std::vector<feed::TokenId> TokenAsk::tokens_of(const pdp::Question& question) const {
  std::vector<feed::TokenId> out;
  for (const pdp::InputText& sent : question.inputs)
    for (const InputPointers::Found& found : pointers_.texts_in(question.form, sent)) {
      const auto id = feed::token_id(found.text);
      if (out.size() < limits::kLaneAsksOpenMax && std::ranges::find(out, id) == out.end())
        out.push_back(id);
    }
  return out;
}

boost::asio::awaitable<void> TokenAsk::ask(const pdp::Question& question) const {
  auto tokens = tokens_of(question);
  if (!tokens.empty()) co_await resolve_(std::move(tokens), question.caller);
}

}  // namespace notp::decision
