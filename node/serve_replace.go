package node

import (
	"encoding/json"
	"net/http"

	"natter/chat"
)

// OrderHeader is the header that an order of the operator's needs, with the value 1: no
// page of another origin can send it without asking first, which is refused.
const OrderHeader = "X-Natter"

// serveReplace answers POST /cluster/replace/{member}?store=…: a Replacement, or a
// problem. Asked again it goes on where it was.
func (n *Node) serveReplace(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get(OrderHeader) != "1" {
		refuse(w, http.StatusForbidden, "an order needs the header "+OrderHeader+": 1")
		return
	}
	if !n.isAdmin(r.Host) {
		// A page's own name may be made to stand for this machine, and then its
		// requests bear that name.
		refuse(w, http.StatusMisdirectedRequest, "the host must be an IP address, localhost, or the host in the setting admin")
		return
	}
	member, store := r.PathValue("member"), r.URL.Query().Get("store")
	if !chat.ValidID(member) {
		refuse(w, http.StatusBadRequest, "the member must be a node's name")
		return
	}
	if store != "" && !isStore(store) {
		refuse(w, http.StatusBadRequest, "store must be the id of a store: 32 hexadecimal digits")
		return
	}
	answer, err := n.replace(r.Context(), member, store)
	if err != nil {
		status := http.StatusInternalServerError
		switch chat.KindOf(err) {
		case chat.KindNotFound:
			status = http.StatusNotFound
		case chat.KindConflict:
			status = http.StatusConflict
		case chat.KindUnavailable:
			status = http.StatusServiceUnavailable
		}
		detail := chat.ProblemOf(err).Detail
		if status == http.StatusInternalServerError {
			n.log.Error("a member isn't replaced", "member", member, "err", err)
			detail = "see the node's log"
		}
		refuse(w, status, detail)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // whoever has left needs no answer
}
