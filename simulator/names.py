"""First and last names common in the UK, by family origin, with the nationality each origin brings.

Lists of our own; a full name is an independent draw of two of them, so it means nobody. Well-known pairings were
avoided by leaving out one of the two words. `NICKNAMES` is what departments write instead of the formal name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.text import lexicon


@dataclass(frozen=True)
class Origin:
    """Names of one origin; `weight` is its share of the population, `british` its share with British nationality."""

    nationality: str
    weight: float
    british: float
    female: str
    male: str
    last: str


ORIGINS = (
    Origin(
        "British",
        0.735,
        1.0,
        "Olivia Amelia Emily Jessica Charlotte Sophie Chloe Lucy Hannah Katie Laura Sarah Rebecca Rachel Claire Nicola "
        "Karen Susan Julie Jacqueline Helen Deborah Amanda Samantha Victoria Elizabeth Margaret Patricia Christine "
        "Joanne Michelle Louise Kelly Gemma Stacey Kirsty Fiona Eilidh Catriona Rhian Sian Carys Megan Bethany Georgia "
        "Abigail Holly Jasmine Zoe Natalie Leanne Donna Tracey Lorraine Beverley Pauline Maureen Jean Heather Alison",
        "Oliver Jack Harry George Thomas James William Daniel Matthew Joshua Luke Samuel Benjamin Adam Ryan Liam "
        "Callum Jamie Scott Craig Stuart Ross Euan Fraser Gareth Rhys Owen Dylan Ieuan Andrew Paul Mark Stephen Steven "
        "David John Robert Richard Peter Kevin Ian Alan Keith Derek Barry Graham Martin Philip Simon Jonathan "
        "Christopher Anthony Timothy Nicholas Edward Alexander Joseph Nathan Kieran Lee",
        "Smith Jones Taylor Brown Williams Wilson Johnson Davies Robinson Wright Walker Evans Edwards Green Hall Wood "
        "Harris Lewis Martin Clarke Clark Turner Hill Cooper Ward Moore Morris King Baker Harrison Morgan Allen James "
        "Parker Phillips Roberts Bennett Mitchell Carter Marshall Shaw Collins Bailey Richardson Cox Ellis Webb Mills "
        "Holmes Palmer Matthews Hunt Rogers Gibson Knight Butler Barnes Pearson Barker Fletcher Dixon Simpson Chapman "
        "Reynolds Stevens Powell Rees Howells Griffiths Llewellyn Pritchard Owen Price Macdonald Stewart Robertson "
        "Anderson Mackenzie Sinclair Ferguson Douglas Grant Hepburn Lockwood Ashworth Hargreaves Sutcliffe Entwistle "
        "Bradshaw Whittaker Oakley Thornton Prescott Winterbottom Fairclough Pickles Garside Rowbottom Trelawny "
        "Penrose Tregenza Hobbs Fisk Attwood Bloomfield Cartwright",
    ),
    Origin(
        "Irish",
        0.02,
        0.55,
        "Aoife Niamh Ciara Sinead Siobhan Orla Grainne Roisin Maeve Bridget Noreen Deirdre",
        "Sean Patrick Cormac Declan Eoin Conor Brendan Padraig Fergal Cathal Darragh Niall",
        "Murphy Kelly Byrne Ryan O'Brien O'Connor O'Sullivan Doyle McCarthy Gallagher Doherty Kennedy Lynch Quinn "
        "Nolan McLoughlin O'Reilly Brennan Hegarty",
    ),
    Origin(
        "Polish",
        0.032,
        0.12,
        "Agnieszka Katarzyna Malgorzata Joanna Monika Ewelina Magdalena Aneta Justyna Zofia Kinga Beata",
        "Piotr Krzysztof Tomasz Pawel Marcin Michal Lukasz Grzegorz Wojciech Jakub Kamil Mateusz",
        "Nowak Kowalski Wisniewski Wojcik Kowalczyk Kaminski Zielinski Szymanski Wozniak Dabrowski Kozlowski Mazur "
        "Jankowski Krawczyk Piotrowski Grabowski Pawlak Michalski",
    ),
    Origin(
        "Romanian",
        0.022,
        0.05,
        "Elena Ioana Andreea Mihaela Cristina Alina Raluca Gabriela Daniela Simona Roxana Oana",
        "Andrei Alexandru Mihai Ionut Florin Bogdan Razvan Marius Vlad Ciprian Sorin Catalin",
        "Popescu Ionescu Popa Dumitru Stan Stoica Gheorghe Matei Ciobanu Rusu Munteanu Lazar Constantin Nistor Barbu "
        "Dinu Tudor Enache",
    ),
    Origin(
        "Lithuanian",
        0.01,
        0.06,
        "Rasa Egle Jurgita Ruta Daiva Lina Vaida Inga Aiste Kristina",
        "Tomas Mantas Darius Vytautas Mindaugas Arturas Giedrius Saulius Rokas Andrius",
        "Kazlauskas Petrauskas Jankauskas Stankevicius Butkus Paulauskas Urbonas Kavaliauskas Zukauskas Rimkus",
    ),
    Origin(
        "Portuguese",
        0.013,
        0.15,
        "Ana Maria Catarina Ines Beatriz Marta Sofia Carla Filipa Rita",
        "Joao Pedro Miguel Tiago Rui Nuno Bruno Ricardo Luis Helder",
        "Silva Santos Ferreira Pereira Oliveira Costa Rodrigues Martins Sousa Fernandes Goncalves Gomes Lopes Marques",
    ),
    Origin(
        "Italian",
        0.011,
        0.25,
        "Giulia Chiara Francesca Federica Valentina Paola Elisa Silvia Alessia Martina",
        "Marco Luca Andrea Matteo Davide Lorenzo Stefano Simone Fabio Giacomo",
        "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti DeLuca",
    ),
    Origin(
        "Indian",
        0.043,
        0.68,
        "Priya Anjali Kavita Neha Pooja Sunita Deepa Meera Harpreet Manpreet Jasleen Gurpreet Lakshmi Divya Nisha",
        "Raj Amit Sanjay Vikram Rahul Suresh Anil Harjit Gurdeep Balwinder Manjit Karthik Arjun Nikhil Ravi",
        "Patel Singh Kaur Sharma Shah Gupta Kumar Desai Mehta Joshi Reddy Nair Gill Sandhu Dhillon Bhatt Chauhan "
        "Parmar Mistry Sidhu",
    ),
    Origin(
        "Pakistani",
        0.033,
        0.72,
        "Ayesha Fatima Zainab Sana Saima Nadia Rabia Hina Shazia Amina Bushra Sadia Mehwish",
        "Mohammed Usman Bilal Hamza Tariq Asif Kashif Faisal Waqas Zubair Adnan Shahid Nadeem",
        "Khan Hussain Ahmed Ali Malik Iqbal Akhtar Mahmood Shah Mirza Qureshi Butt Raja Chaudhry Rehman Aslam Siddiqui",
    ),
    Origin(
        "Bangladeshi",
        0.015,
        0.7,
        "Nasrin Farzana Sultana Rukhsana Shirin Taslima Jannatul Rehana Salma Mahbuba",
        "Abdul Rafiqul Shahin Kamrul Mizanur Jubayer Rashed Habibur Shofiqul Ashraful",
        "Rahman Islam Begum Miah Uddin Choudhury Hossain Haque Khatun Ahmed Alam Sarkar",
    ),
    Origin(
        "Nigerian",
        0.017,
        0.5,
        "Ngozi Chioma Folake Adaeze Yetunde Amaka Ifeoma Titilayo Bukola Funmilayo",
        "Chinedu Emeka Oluwaseun Tunde Babatunde Ikenna Obinna Femi Segun Chukwuma",
        "Okafor Adeyemi Okonkwo Eze Balogun Adebayo Nwosu Ogunleye Obi Olawale Afolabi Chukwu Onyeka",
    ),
    Origin(
        "Ghanaian",
        0.008,
        0.5,
        "Abena Akosua Efua Adwoa Yaa Esi Afia Akua",
        "Kwame Kofi Kwabena Yaw Kojo Ebo Kwaku Nana",
        "Mensah Owusu Boateng Asante Osei Appiah Agyeman Amoah Antwi Sarpong Ofori",
    ),
    Origin(
        "Jamaican",
        0.015,
        0.85,
        "Shanice Latoya Marcia Yvonne Keisha Tanya Simone Natasha Sonia Chantelle",
        "Winston Delroy Leroy Marlon Jermaine Dwayne Errol Trevor Andre Tyrone",
        "Gordon Reid Francis Thomas Henry Joseph Lawrence Grant Morrison Bryan Powell Samuels Bartley Blake",
    ),
    Origin(
        "Chinese",
        0.009,
        0.4,
        "Mei Xiu Yan Li Jing Hui Ying Fang Xiaoling Wai",
        "Wei Jun Ming Hao Lei Chi Kwok Feng Tao Jian",
        "Wong Chen Chan Zhang Liu Lam Lee Yang Cheung Huang Leung Wu Ng Zhou",
    ),
    Origin(
        "Somali",
        0.007,
        0.5,
        "Hodan Sahra Ifrah Hibo Faduma Ubah Khadra Asha",
        "Abdi Yusuf Hassan Farah Liban Guled Mahad Warsame",
        "Abdullahi Warsame Hersi Jama Osman Farah Nur Aden Elmi Duale",
    ),
    Origin(
        "Turkish",
        0.006,
        0.45,
        "Elif Zeynep Ayse Emine Hatice Merve Esra Gul",
        "Mehmet Mustafa Emre Kemal Serkan Burak Hakan Ozan",
        "Yilmaz Kaya Demir Sahin Celik Yildiz Ozturk Aydin Arslan Dogan",
    ),
)

NICKNAMES = {
    "Thomas": "Tom", "James": "Jim", "William": "Bill", "Daniel": "Dan", "Matthew": "Matt", "Joshua": "Josh",
    "Samuel": "Sam", "Benjamin": "Ben", "Andrew": "Andy", "Stephen": "Steve", "Steven": "Steve", "David": "Dave",
    "John": "Jack", "Robert": "Bob", "Richard": "Rick", "Peter": "Pete", "Philip": "Phil", "Jonathan": "Jon",
    "Christopher": "Chris", "Anthony": "Tony", "Timothy": "Tim", "Nicholas": "Nick", "Edward": "Ted",
    "Alexander": "Alex", "Joseph": "Joe", "Elizabeth": "Liz", "Margaret": "Maggie", "Patricia": "Pat",
    "Christine": "Chris", "Victoria": "Vicky", "Samantha": "Sam", "Rebecca": "Becky", "Deborah": "Debbie",
    "Susan": "Sue", "Katie": "Kate", "Abigail": "Abi", "Jessica": "Jess", "Charlotte": "Lottie", "Amanda": "Mandy",
    "Jacqueline": "Jackie", "Joanne": "Jo", "Patrick": "Paddy", "Magdalena": "Magda", "Katarzyna": "Kasia",
    "Agnieszka": "Aga", "Alexandru": "Alex", "Mohammed": "Mo", "Babatunde": "Tunde", "Gurpreet": "Gurp",
}  # fmt: skip

_first: list[str] = []
_last: list[str] = []
_first_spans: list[tuple[int, int]] = []
_last_spans: list[tuple[int, int]] = []
for _origin in ORIGINS:
    for _words in (_origin.female, _origin.male):
        _first_spans.append((len(_first), len(_words.split())))
        _first.extend(_words.split())
    _last_spans.append((len(_last), len(_origin.last.split())))
    _last.extend(_origin.last.split())

FIRST, LAST = lexicon(_first), lexicon(_last)
INITIAL = lexicon([name[0] for name in _first])
INFORMAL = lexicon([NICKNAMES.get(name, name) for name in _first])
NATIONALITIES = lexicon([origin.nationality for origin in ORIGINS])
FIRST_SPAN = np.array(_first_spans).reshape(len(ORIGINS), 2, 2)
"""(origin, sex, [start in FIRST, count]); sex 0 is female, 1 male."""
LAST_SPAN = np.array(_last_spans)
"""(origin, [start in LAST, count])."""
WEIGHTS = tuple(origin.weight for origin in ORIGINS)
BRITISH_SHARE = np.array([origin.british for origin in ORIGINS])
EU_ORIGINS = np.array([o.nationality in {"Polish", "Romanian", "Lithuanian", "Portuguese", "Italian"} for o in ORIGINS])
