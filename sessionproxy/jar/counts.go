package jar

// Kind is what became of a cookie; its String is the label of a metric.
type Kind int

// What becomes of cookies that the app sets, then of those that browsers send.
const (
	Taken            Kind = iota // into the jar, a deletion there included
	Given                        // to the browser
	DroppedByRule                // named by `drop`
	DroppedInvalid               // a control character, or neither name nor value
	DroppedBySize                // larger than one cookie, or than the jar
	DroppedStale                 // another response has changed the cookie meanwhile, and prevails
	DroppedNoSession             // no session takes it: none may begin, it has ended, or its ticket was replaced
	Evicted                      // out of the jar, for newer ones
	RemovedByRule                // named by `drop`
	RemovedJar                   // a name of the jar, which browsers have no say in
	RemovedUnknown               // the app never set it, and no `pass` names it
	RemovedExcess                // a repeated name, or beyond the limits
	kinds
)

var kindNames = [kinds]string{
	"taken", "given", "dropped_rule", "dropped_invalid", "dropped_size", "dropped_stale", "dropped_no_session", "evicted",
	"removed_rule", "removed_jar", "removed_unknown", "removed_excess",
}

func (k Kind) String() string { return kindNames[k] }

// Counts are numbers of cookies by what became of them.
type Counts [kinds]int

// Kinds returns every kind there is, for metrics.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}
