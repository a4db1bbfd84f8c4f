#include "notp-client/agent/stock.hpp"

namespace notp {

Result<Stock> take_stock(const StockRequest& request, Store& store) {
  Stock stock;
  NOTP_ASSIGN(const TreePtr tree, store.tree(request.ledger, request.version));
  NOTP_ASSIGN(const std::vector<Hash> damaged, store.damaged(request.ledger, request.version));
  stock.lacks.insert(damaged.begin(), damaged.end());
  if (request.form) stock.inventory = take_inventory(*tree, stock.lacks, *request.form);
  return stock;
}

}  // namespace notp
