// What a node sees of a lane.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "notp-server/lane/event_store.hpp"
#include "protocol/session/identity.hpp"
#include "protocol/wire/messages/lanes.hpp"

namespace notp::lane {

// Members of a token's record, beside `exp`, which each one has.
enum class Attribute : uint16_t {
  kIss = 1 << 0,
  kSub = 1 << 1,
  kClient = 1 << 2,
  kScope = 1 << 3,
  kAud = 1 << 4,
  kIat = 1 << 5,
  kAcr = 1 << 6,
  kAmr = 1 << 7,
  kAuthTime = 1 << 8,
  kSid = 1 << 9,
  kCnf = 1 << 10,
};

class Attributes {
 public:
  Attributes() = default;
  // kConfig with the names that there are.
  static Result<Attributes> parse(const std::vector<std::string>& names);
  static Attributes all();

  bool has(Attribute attribute) const { return (bits_ & static_cast<uint16_t>(attribute)) != 0; }
  bool covers(const Attributes& other) const { return (other.bits_ & ~bits_) == 0; }
  uint16_t bits() const { return bits_; }
  feed::TokenRecord project(feed::TokenRecord record) const;

 private:
  uint16_t bits_ = 0;
};

// Marks, lists and deletes go to every node of a lane; tokens go as its grant says.
struct Grant {
  std::vector<session::IdentityPattern> nodes;
  std::vector<std::string> audiences;  // any of them is in `aud`; empty: every token
  std::vector<std::string> clients;    // the same of `client`
  Attributes attributes;
};

// A grant of a lane in the mode of a subscription. Views of one id are the same, of all lanes.
class GrantView {
 public:
  GrantView(std::string_view lane, const Grant& grant, wire::LaneMode mode);

  uint64_t id() const { return id_; }  // never 0
  bool is_ask() const { return mode_ == wire::LaneMode::kAsk; }
  bool sees(const feed::TokenRecord& record) const;

  // The row as this view has it; nullopt: it has none.
  std::optional<feed::Event> row(const feed::Event& event) const;
  // What a batch says of it. A token that it does not see, and that a node may hold from before
  // with another record, has ended: it must not stay there. (Not a delete: later the token may come
  // back into the view, and a delete would win.)
  std::optional<feed::Event> news(const Row& row) const;
  // The answer to an ask, in either mode.
  std::optional<feed::Event> answer(const feed::Event& event) const;

 private:
  wire::LaneMode mode_;
  std::set<std::string, std::less<>> audiences_, clients_;
  Attributes attributes_;
  uint64_t id_;
};

// The first of `grants` that covers the identity; null: none does.
const Grant* find_grant(const std::vector<Grant>& grants, const session::Identity& identity);

}  // namespace notp::lane
