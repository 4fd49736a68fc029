// The loops around the kernel of a matrix product: how it is blocked, packed and shared among the threads.
// Internal to tensor/ops/gemm.cpp and its tests.
//
// A kernel K (gemm_kernel.h, gemm_tiles.h) multiplies packed blocks of K::Element. An object of it lives for
// one task of so many rows, in the task's thread:
//   K::kTaskRows            sizes of a task, the first one preferred; fewer rows if C has fewer
//   K kernel(task_rows)
//   kernel.rows_per_call()  at most K::kRows
//   kernel(rows, call)      rows <= rows_per_call(); it may read up to the end of A's last square of rows
//   K::kTakesAcross         whether it takes A across its rows, which saves turning over an A that lies so
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "tensor/ops/gemm.h"
#include "tensor/ops/gemm_kernel.h"
#include "tensor/ops/gemm_pack.h"
#include "tensor/parallel.h"
#include "tensor/scratch.h"
#include "tensor/tensor.h"

namespace dlcm::cpu {

// How a product is shared: tasks of some rows by some panels of columns. The bits do not depend on it.
struct Plan {
  int64_t rows, panels;    // of a task
  int64_t down, across;    // tasks
  int64_t blocks_at_once;  // blocks of k, of which all of B is packed before the tasks begin
};

template <class E>
int64_t bytes_of(int64_t words) {
  return words * static_cast<int64_t>(sizeof(typename E::Word));
}

// Such that an even number of tasks shares the rows evenly.
template <class K>
int64_t task_rows(int64_t m) {
  int64_t best = K::kTaskRows[0];
  for (const int64_t rows : K::kTaskRows) {
    const auto covered = [m](int64_t size) { return round_up(ceil_div(m, size), 2) * size; };
    if (covered(rows) < covered(best)) best = rows;
  }
  return std::min(best, m);
}

template <class K>
Plan plan_of(const Gemm& g) {
  using E = typename K::Element;
  const int64_t tasks = std::max(16, 2 * thread_count());
  constexpr int64_t kFewestPanels = 4;               // below these, packing A again costs too much
  constexpr int64_t kChunkWords = int64_t{1} << 20;  // of A and B together: they stay in the last cache
  const int64_t panels = ceil_div(g.n, kKernelColumns<E>);
  const int64_t blocks = ceil_div(g.k, kBlockWords * E::kPerWord);
  Plan plan;
  plan.rows = task_rows<K>(g.m);
  plan.down = ceil_div(g.m, plan.rows);
  plan.panels = std::max(std::min(panels, kFewestPanels), ceil_div(panels, ceil_div(tasks, plan.down)));
  plan.across = ceil_div(panels, plan.panels);
  plan.blocks_at_once = std::clamp<int64_t>(kChunkWords / ((g.m + g.n) * kBlockWords), 1, blocks);
  return plan;
}

// A packed B: blocks of kBlockWords words of k one after the other (the last one shorter), in each all panels
// of kKernelColumns columns.
template <class E>
struct PackedLayout {
  int64_t n, k;

  static constexpr int64_t kBlockElements = kBlockWords * E::kPerWord;
  int64_t panels() const { return ceil_div(n, kKernelColumns<E>); }
  int64_t blocks() const { return ceil_div(k, kBlockElements); }
  int64_t elements(int64_t block) const { return std::min(kBlockElements, k - block * kBlockElements); }
  int64_t words(int64_t block) const { return round_up(ceil_div(elements(block), E::kPerWord), kSquare<E>); }
  int64_t offset(int64_t block, int64_t panel) const {
    return kKernelColumns<E> * (block * kBlockWords * panels() + panel * words(block));
  }
  int64_t size() const { return blocks() == 0 ? 0 : offset(blocks() - 1, panels()); }
};

// Blocks [begin, end), each to its offset from that of `begin`.
template <class E, class S>
void pack_blocks(const GemmOperand& operand, const PackedLayout<E>& layout, int64_t begin, int64_t end,
                 typename E::Word* to) {
  const int64_t panels = layout.panels();
  parallel_for((end - begin) * panels, 1, [&](int64_t index, int64_t) {
    const int64_t block = begin + index / panels;
    const int64_t panel = index % panels;
    const int64_t column = panel * kKernelColumns<E>;
    pack_columns<E, S>(operand,
                       {column, std::min(kKernelColumns<E>, layout.n - column), block * layout.kBlockElements,
                        layout.elements(block)},
                       to + layout.offset(block, panel) - layout.offset(begin, 0));
  });
}

// Rows of C and panels of its columns.
struct Task {
  int64_t row, rows;
  int64_t panel, panel_end;
};

// Whether A is packed across its rows.
template <class K>
bool takes_across(const Gemm& g) {
  return K::kTakesAcross && g.a.order == GemmOrder::across_k;
}

// The task's share of one block of k.
template <class K, class E = typename K::Element>
void multiply_block(const Gemm& g, const K& kernel, const Task& task, const PackedLayout<E>& layout,
                    int64_t block, const typename E::Word* a, const typename E::Word* b) {
  const int64_t across = takes_across<K>(g) ? kernel.rows_per_call() : 0;
  using Sum = typename E::Sum;
  constexpr int64_t kColumns = kKernelColumns<E>;
  const int64_t words = ceil_div(layout.elements(block), E::kPerWord);
  const bool add = g.accumulate || block > 0;
  // Where a weight packed before comes from memory and several calls read it, each of them fetches its share
  // of the panel after its own; what one call reads once the processor fetches ahead itself.
  const int64_t calls = ceil_div(task.rows, kernel.rows_per_call());
  const bool fetches = g.b.order == GemmOrder::packed && calls > 1;
  const int64_t ahead_step = fetches ? ceil_div(kColumns, calls) : 0;
  for (int64_t panel = task.panel; panel < task.panel_end; ++panel) {
    const int64_t columns = std::min(kColumns, g.n - panel * kColumns);
    const typename E::Word* right = b + panel * kColumns * layout.words(block);
    const typename E::Word* ahead = right + kColumns * layout.words(block);
    for (int64_t i = 0; i < task.rows; i += kernel.rows_per_call(), ahead += words * ahead_step) {
      const int64_t rows = std::min(kernel.rows_per_call(), task.rows - i);
      Sum* to = static_cast<Sum*>(g.c) + (task.row + i) * g.c_stride + panel * kColumns;
      if (columns == kColumns) {
        kernel(rows, {a + i * kRowStride, across, right, words, to, g.c_stride, add, ahead, ahead_step});
      } else {  // a panel that is not full
        Sum edge[K::kRows * kColumns];
        kernel(rows, {a + i * kRowStride, across, right, words, edge, kColumns, false, ahead, ahead_step});
        store_sums(edge, rows, columns, kColumns, to, g.c_stride, add);
      }
    }
  }
}

// A product as the loop over tasks sees it.
template <class E>
struct PlannedGemm {
  const Gemm& g;
  Plan plan;
  PackedLayout<E> layout;
  const typename E::Word* b;  // packed: of the first block of k that the loop multiplies

  int64_t tasks() const { return plan.down * plan.across; }
};

// The task `index` of the product for the blocks [begin, end) of k.
template <class K, class A, class E = typename K::Element>
void run_task(const PlannedGemm<E>& product, int64_t index, int64_t begin, int64_t end) {
  const auto& [g, plan, layout, b] = product;
  const int64_t row = index / plan.across * plan.rows;
  const int64_t rows = std::min(plan.rows, g.m - row);
  Task task = {row, rows, index % plan.across * plan.panels, 0};
  task.panel_end = std::min(layout.panels(), task.panel + plan.panels);
  const K kernel(rows);
  auto* a = thread_scratch<typename E::Word>(round_up(plan.rows + K::kRows, kSquare<E>) * kRowStride);
  for (int64_t block = begin; block < end; ++block) {
    const Region region = {row, rows, block * layout.kBlockElements, layout.elements(block)};
    if (takes_across<K>(g)) {
      pack_across_rows<E, A>(g.a, region, kernel.rows_per_call(), a);
    } else {
      pack_rows<E, A>(g.a, region, a);
    }
    multiply_block(g, kernel, task, layout, block, a, b + layout.offset(block, 0) - layout.offset(begin, 0));
  }
}

// All rows and columns of the products for those blocks, in one loop.
template <class K, class A, class E = typename K::Element>
void multiply_blocks(std::span<const PlannedGemm<E>> products, int64_t begin, int64_t end) {
  constexpr int64_t kWorthAThread = 1 << 17;  // multiplications; waking a thread has its price
  int64_t tasks = 0, multiplications = 0;
  for (const PlannedGemm<E>& product : products) {
    tasks += product.tasks();
    multiplications +=
        product.g.m * product.g.n * std::min(product.g.k, (end - begin) * PackedLayout<E>::kBlockElements);
  }
  const int64_t each = std::clamp<int64_t>(multiplications / tasks, 1, kWorthAThread);
  parallel_for(tasks, ceil_div(kWorthAThread, each), [&](int64_t first, int64_t last) {
    auto product = products.begin();
    int64_t before = 0;  // tasks of the products that precede it
    for (int64_t task = first; task < last; ++task) {
      while (task - before >= product->tasks()) before += (product++)->tasks();
      run_task<K, A>(*product, task - before, begin, end);
    }
  });
}

// What B is packed of at once: columns such that a block of k of them stays in the last cache.
template <class E>
int64_t columns_at_once() {
  constexpr int64_t kWords = int64_t{1} << 20;
  return kWords / kBlockWords / kKernelColumns<E> * kKernelColumns<E>;
}

template <class K, class A, class B>
void multiply_columns(const Gemm& g) {
  using E = typename K::Element;
  using Word = typename E::Word;
  const Plan plan = plan_of<K>(g);
  const PackedLayout<E> layout = {g.n, g.k};
  const Tensor storage = Tensor::empty({bytes_of<E>(layout.offset(plan.blocks_at_once, 0))}, DType::u8);
  auto* packed = static_cast<Word*>(storage.raw_data());
  for (int64_t begin = 0; begin < layout.blocks(); begin += plan.blocks_at_once) {
    const int64_t end = std::min(layout.blocks(), begin + plan.blocks_at_once);
    pack_blocks<E, B>(g.b, layout, begin, end, packed);
    const PlannedGemm<E> product = {g, plan, layout, packed};
    multiply_blocks<K, A>(std::span(&product, 1), begin, end);
  }
}

// The columns [begin, end) of the product alone.
template <class E, class B>
Gemm columns_of(const Gemm& g, int64_t begin, int64_t end) {
  Gemm part = g;
  part.n = end - begin;
  part.b.data = static_cast<const B*>(g.b.data) + begin * (along_k(g.b) ? g.b.stride : 1);
  part.c = static_cast<typename E::Sum*>(g.c) + begin;
  return part;
}

// Products with packed weights, by the kernel K; A is what the elements of their a are stored as.
template <class K, class A>
void gemm_packed_by(std::span<const Gemm> products) {
  using E = typename K::Element;
  std::vector<PlannedGemm<E>> planned;
  for (const Gemm& g : products) {
    planned.push_back({g, plan_of<K>(g), {g.n, g.k}, static_cast<const typename E::Word*>(g.b.data)});
  }
  multiply_blocks<K, A>(std::span<const PlannedGemm<E>>(planned), 0, planned.front().layout.blocks());
}

// g, of whose operands neither is packed, by the kernel K; A and B are what their elements are stored as.
template <class K, class A, class B>
void gemm_by(const Gemm& g) {
  using E = typename K::Element;
  for (int64_t begin = 0; begin < g.n; begin += columns_at_once<E>()) {
    multiply_columns<K, A, B>(columns_of<E, B>(g, begin, std::min(g.n, begin + columns_at_once<E>())));
  }
}

}  // namespace dlcm::cpu
