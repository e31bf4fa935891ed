/* Blocking sends and receives on one channel, for every small number of senders, messages a
 * sender, receivers and receives a receiver. The channel is Promela's own, of CAPACITY places
 * (0: rendezvous), so that nothing here is taken over from the model it is compared with.
 *
 * Wherever nothing can move any more, one line says who received what and who is blocked.
 * CAPACITY comes from the command line: spin -a -o2 -DCAPACITY=2 channel.pml
 *
 * -o2 switches dead-variable elimination off. With it on, Spin 6.5.2 loses 48 of the 213 endings at
 * capacity 0, if a receiver keeps what it receives in a local variable first: the variable seems
 * to count as dead while the rendezvous fills it.
 */
#define SENDERS 3
#define RECEIVERS 2
#define EACH 2

chan link = [CAPACITY] of { byte };

byte senders, messages, receivers, receives;
byte sent[SENDERS];
byte got[RECEIVERS];
byte log[RECEIVERS * EACH];

proctype sender(byte id) {
	do
	:: sent[id] < messages -> link ! (id * EACH + sent[id]); sent[id]++
	:: else -> break
	od
}

proctype receiver(byte id) {
	do
	:: got[id] < receives -> link ? log[id * EACH + got[id]]; got[id]++
	:: else -> break
	od
}

/* Runs when nobody else can. */
proctype observer() {
	byte i, k;
	timeout;
	d_step {
		printf("END %d senders of %d, %d receivers of %d:",
			senders, messages, receivers, receives);
		i = 0;
		do
		:: i < receivers ->
			printf(" R%d[", i);
			k = 0;
			do
			:: k < got[i] ->
				printf(" %d:%d", log[i * EACH + k] / EACH, log[i * EACH + k] % EACH);
				k++
			:: else -> break
			od;
			printf(" ]");
			i++
		:: else -> break
		od;
		printf(" blocked");
		i = 0;
		do
		:: i < senders ->
			if
			:: sent[i] < messages -> printf(" S%d", i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < receivers ->
			if
			:: got[i] < receives -> printf(" R%d", i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		printf("\n")
	}
}

init {
	byte i;
	atomic {
		select(senders : 1 .. SENDERS);
		select(messages : 1 .. EACH);
		select(receivers : 1 .. RECEIVERS);
		select(receives : 1 .. EACH);
		i = 0;
		do
		:: i < senders -> run sender(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < receivers -> run receiver(i); i++
		:: else -> break
		od;
		i = 0;
		run observer()
	}
}
